"""Paths taken apart. A folder is written with a '/' behind it, the root as an empty text: so whatever lies
below a folder, at any depth, is one range of texts."""

from __future__ import annotations

import re
from collections.abc import Iterator

# "<run id>/artifacts/" or "models/<model id>/artifacts/", wherever an experiment keeps them.
_OWNER = re.compile(r"(?:^|/)(?:models/(m-[0-9a-f]{32})|([0-9a-f]{32}))/artifacts/")


def split(path: str) -> tuple[str, str]:
    """Folder and name."""
    at = path.rfind("/") + 1
    return path[:at], path[at:]


def folders_above(path: str) -> Iterator[str]:
    """Paths of the folders that a file or folder lies in, the nearest first, without the root."""
    at = path.rfind("/")
    while at > 0:
        yield path[:at]
        at = path.rfind("/", 0, at)


def below(folder: str) -> tuple[str, str]:
    """Begin and end of the range of folders that are this one or lie in it; as written here."""
    # '0' follows '/'; and no text is past the last character.
    return folder, f"{folder[:-1]}0" if folder else "\U0010ffff"


def owner_of(path: str) -> str | None:
    """Id of the run or model that keeps the file among its artifacts."""
    found = _OWNER.search(path)
    return found and (found[1] or found[2])
