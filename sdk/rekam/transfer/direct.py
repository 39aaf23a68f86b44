"""Bytes to S3 and from it, by urls that the server signed. One connection for each request."""

from __future__ import annotations

import http.client
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

from rekam.errors import Unavailable, Unsupported

_CONNECT_SECONDS = 5.0
_ANSWER_SECONDS = 60.0
_CHUNK = 1024 * 1024


# When S3 was not to be had, by server: so long all goes through the gateway.
_LEFT_SECONDS = 600.0
_left: dict[str, float] = {}


class Unreachable(Exception):
    """S3 is not to be had from here: the way through the gateway is left."""


def leave(server: str) -> None:
    """S3 of this server (host:port) was not to be had."""
    _left[server] = time.monotonic()


def worth_a_try(server: str) -> bool:
    """Whether S3 of this server may be to be had."""
    return time.monotonic() - _left.get(server, -_LEFT_SECONDS) >= _LEFT_SECONDS


@contextmanager
def signing() -> Iterator[None]:
    """Around a request for urls: a server that says that S3 is not for clients has none."""
    try:
        yield
    except Unsupported as error:
        raise Unreachable(error.message) from error


def put(url: str, headers: Mapping[str, str], size: int, body: Iterator[bytes]) -> str:
    """Send `size` bytes; answers with the ETag. Unavailable: it may be tried again."""
    with _request("PUT", url, {**headers, "Content-Length": str(size)}, body) as response:
        response.read()
        return response.getheader("ETag", "")


def get(url: str, headers: Mapping[str, str], offset: int) -> Iterator[bytes]:
    """The bytes from `offset` on. Unavailable: it may be tried again, from where it came to."""
    with _request("GET", url, {**headers, "Range": f"bytes={offset}-"}, None) as response:
        if offset and response.status != http.client.PARTIAL_CONTENT:
            raise Unreachable(f"{_host(url)} does not serve a part of a file")
        while chunk := response.read(_CHUNK):
            yield chunk


@contextmanager
def _request(
    method: str, url: str, headers: Mapping[str, str], body: Iterator[bytes] | None
) -> Iterator[http.client.HTTPResponse]:
    connection = _connect(url)
    try:
        with suppress(BrokenPipeError, ConnectionResetError):  # the answer says why
            connection.request(method, url[url.index("/", url.index("://") + 3) :], body, dict(headers))
        response = connection.getresponse()
        if response.status >= 500 or response.status == http.client.TOO_MANY_REQUESTS:
            raise Unavailable(f"{_host(url)} answered {response.status} {response.reason}")
        if response.status >= 300:
            # A signature that has expired, or that S3 does not take from here.
            raise Unreachable(f"{_host(url)} answered {response.status} {response.reason}")
        yield response
    except (OSError, http.client.HTTPException) as error:
        raise Unavailable(f"{_host(url)}: {error!r}") from error
    finally:
        connection.close()


def _connect(url: str) -> http.client.HTTPConnection:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Unreachable("the server signs no urls")
    if parts.scheme in urllib.request.getproxies() and not urllib.request.proxy_bypass(parts.hostname):
        raise Unreachable(f"a proxy stands before {parts.hostname}")
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname, parts.port, timeout=_CONNECT_SECONDS)
    try:
        connection.connect()
    except OSError as error:
        raise Unreachable(f"{parts.hostname}: {error}") from error
    assert connection.sock is not None
    connection.sock.settimeout(_ANSWER_SECONDS)
    return connection


def _host(url: str) -> str:
    return urlsplit(url).netloc
