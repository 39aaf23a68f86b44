"""Paths of artifacts as requests have them."""

from __future__ import annotations

from pathlib import PurePosixPath, PureWindowsPath
from urllib.parse import unquote, urlsplit

from rekam_runtime.errors import FailedPrecondition, Invalid

SCHEME = "mlflow-artifacts"
_DECODINGS = 10


def clean(path: str) -> str:
    """The path, decoded until nothing changes, as clients and proxies may have encoded it again.

    Raises Invalid for one that would lead out of its root. What else makes a path, the
    artifacts service knows.
    """
    for _ in range(_DECODINGS):
        encoded, path = path, unquote(path)
        if path == encoded:
            break
    unsafe = (
        "#" in path
        or "\\" in path
        or ".." in path.split("/")
        or PurePosixPath(path).is_absolute()
        or PureWindowsPath(path).is_absolute()
    )
    if unsafe or path != encoded:
        raise Invalid("Invalid path", field="path")
    return path


def root_of(artifact_uri: str) -> str:
    """The folder here that a run or model keeps its artifacts in."""
    uri = urlsplit(artifact_uri)
    if uri.scheme != SCHEME:
        raise FailedPrecondition(f"the artifacts are at {artifact_uri}, which is not served here")
    return uri.path.strip("/")


def below(root: str, path: str) -> str:
    """A path of a run or model, in the tree of all."""
    return f"{root}/{clean(path)}" if path else root
