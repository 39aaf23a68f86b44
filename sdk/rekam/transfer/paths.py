"""Where artifacts lie: clean relative paths below one root, and the URIs that name them."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from urllib.parse import urlsplit

from rekam.errors import Invalid, Unsupported

SCHEME = "mlflow-artifacts"
_RULE = "an artifact path is relative and clean: no empty, '.' or '..' part, no '\\' and no '#'"


def clean(path: str, field: str = "artifact_path") -> str:
    """The path, without a '/' at its end. Invalid, naming the rule, when it is none. The server has more."""
    text = path.removesuffix("/")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Invalid(f"{path!r} is not valid Unicode: an artifact path is UTF-8", field=field) from None
    parts = text.split("/")
    if any(part in ("", ".", "..") for part in parts) or any(char in text for char in "\\#\0"):
        raise Invalid(f"{_RULE}, got {path!r}", field=field)
    return text


def join(*parts: str | None) -> str:
    """One path of several, those that are empty or None left out."""
    return "/".join(part for part in parts if part)


def split_file(artifact_file: str) -> tuple[str, str]:
    """(folder, name) of a file that is named in full, normalised as MLflow does: 'a//b.txt' is 'a/b.txt'."""
    return posixpath.split(clean(posixpath.normpath(artifact_file), "artifact_file"))


def of_store(uri: str, field: str = "artifact_uri") -> str:
    """The path that mlflow-artifacts:/PATH names, empty for the root. The host, if any, is not looked at."""
    parts = urlsplit(uri)
    if parts.scheme != SCHEME:
        raise Unsupported(
            f"{uri!r}: artifacts are read and written at {SCHEME}:/ only, and this is elsewhere", field=field
        )
    # What follows a '#' or '?' is part of a name here, and refused as such where it must not be.
    path = uri.removeprefix(f"{SCHEME}:").removeprefix(f"//{parts.netloc}").strip("/")
    return clean(path, field) if path else ""


@dataclass(frozen=True, slots=True)
class Owned:
    """runs:/RUN/PATH or models:/m-ID/PATH: a path among the artifacts of a run or a logged model."""

    kind: str
    owner: str
    path: str


def owned(uri: str, field: str = "artifact_uri") -> Owned | None:
    """What a runs:/ or models:/ URI names; None for one of another scheme."""
    kind, colon, rest = uri.partition(":/")
    if not colon or kind not in ("runs", "models"):
        return None
    owner, _, path = rest.lstrip("/").partition("/")
    if not owner:
        raise Invalid(f"{uri!r} has the form {kind}:/ID/PATH", field=field)
    return Owned(kind, owner, clean(path, field) if path.strip("/") else "")
