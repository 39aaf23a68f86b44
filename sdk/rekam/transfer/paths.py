"""Where artifacts lie: clean relative paths below one root, and the URIs that name them."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, replace
from typing import TypeAlias
from urllib.parse import urlsplit

from rekam.errors import Invalid, Unsupported

SCHEME = "mlflow-artifacts"
_LOGGED_MODEL = re.compile(r"m-[0-9a-f]{32}")
# What follows a registered model's name; else it is a version's number.
_PLACES = ("none", "staging", "production", "archived", "latest")
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


@dataclass(frozen=True, slots=True)
class Registered:
    """models:/NAME/VERSION/PATH: a path among the files of a registered model's version.

    uri: of the version, by its number, stage or alias.
    """

    uri: str
    path: str


# What a URI names; text: a path in the store.
Named: TypeAlias = Owned | Registered | str


def named(uri: str, field: str = "artifact_uri") -> Named:
    """What a runs:/, models:/ or mlflow-artifacts:/ URI names. Unsupported for one of another scheme."""
    kind, colon, rest = uri.partition(":/")
    if not colon or kind not in ("runs", "models"):
        return of_store(uri, field)
    owner, _, path = rest.lstrip("/").partition("/")
    if not owner:
        raise Invalid(f"{uri!r} has the form {kind}:/ID/PATH", field=field)
    if kind == "models" and not _LOGGED_MODEL.fullmatch(owner):
        return _registered(owner, path, uri, field)
    return Owned(kind, owner, _cleaned(path, field))


def path_of(named: Named) -> str:
    """The path that was named, in what it lies in."""
    return named if isinstance(named, str) else named.path


def below(named: Named, path: str) -> Named:
    """A path below what was named."""
    joined = join(path_of(named), path)
    return joined if isinstance(named, str) else replace(named, path=joined)


def _registered(name: str, rest: str, uri: str, field: str) -> Registered:
    place, _, path = rest.partition("/")
    if place.lower() in _PLACES or (place.isascii() and place.isdigit()):
        return Registered(f"models:/{name}/{place}", _cleaned(path, field))
    if "@" not in name:
        raise Invalid(
            f"{uri!r} has none of the forms models:/NAME/VERSION, models:/NAME/STAGE, models:/NAME/latest, "
            "models:/NAME@ALIAS and, of a logged model, models:/m-ID",
            field=field,
        )
    return Registered(f"models:/{name}", _cleaned(rest, field))


def _cleaned(path: str, field: str) -> str:
    return clean(path, field) if path.strip("/") else ""
