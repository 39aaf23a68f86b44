"""The digest of a tree of files: of what `sha256sum` prints of them, sorted by path."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable


def digest_of(files: Iterable[tuple[str, str]]) -> str:
    """SHA-256 of (path, SHA-256) of each file, as hex; paths begin where the tree does."""
    hashed = hashlib.sha256()
    for path, digest in sorted(files, key=lambda file: file[0].encode()):
        hashed.update(f"{digest}  {path}\n".encode())
    return hashed.hexdigest()
