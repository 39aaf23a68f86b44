"""Tracking URIs: grpc://host:port."""

from __future__ import annotations

from urllib.parse import urlsplit

from rekam.errors import Invalid


def target_of(uri: str) -> str:
    """host:port of a tracking URI; raises Invalid when it is none."""
    rule = "a tracking URI has the form grpc://host:port"
    try:
        parts = urlsplit(uri)
        port = parts.port
    except ValueError as error:
        raise Invalid(f"{rule}, got {uri!r}: {error}", field="tracking_uri") from None
    if parts.scheme != "grpc" or not parts.hostname or port is None:
        hint = " (that is the address of the HTTP door)" if parts.scheme in ("http", "https") else ""
        raise Invalid(f"{rule}, got {uri!r}{hint}", field="tracking_uri")
    if parts.path not in ("", "/") or parts.query or parts.fragment or parts.username is not None:
        raise Invalid(f"{rule} and nothing more, got {uri!r}", field="tracking_uri")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{host}:{port}"
