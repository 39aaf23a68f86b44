"""A spool's directory: what lies in it and for whom it is meant."""

from __future__ import annotations

import json
import os
import platform
import secrets
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from rekam.errors import SpoolError
from rekam.spool.lock import SpoolLock

SUFFIX = ".spool"
_ABOUT = "about.json"


@dataclass(frozen=True, slots=True)
class About:
    """For people and for whoever delivers the spool later."""

    target: str  # host:port of the gateway
    host: str
    pid: int
    created_ms: int


def create(root: Path, target: str) -> tuple[Path, SpoolLock]:
    """A new spool directory under `root`, locked."""
    now = time.time()
    name = f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime(now))}-{os.getpid()}-{secrets.token_hex(4)}"
    directory = root / name
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        directory.mkdir(mode=0o700)
        lock = SpoolLock.take(directory)
        about = About(target, platform.node(), os.getpid(), int(now * 1000))
        (directory / _ABOUT).write_text(json.dumps(asdict(about)))
    except OSError as error:
        raise SpoolError(
            f"cannot make a spool in {root}: {error.strerror or error}; set REKAM_SPOOL_DIR to a "
            "directory that can be written",
            field="REKAM_SPOOL_DIR",
        ) from error
    assert lock is not None, "a directory of a fresh random name is nobody else's"
    return directory, lock


def read_about(directory: Path) -> About | None:
    """What a spool directory says of itself; None when it cannot be read."""
    try:
        return About(**json.loads((directory / _ABOUT).read_text()))
    except (OSError, ValueError, TypeError):
        return None


def segment_path(directory: Path, base: int) -> Path:
    """File of the segment whose first byte is the spool's byte `base`."""
    return directory / f"{base:020d}{SUFFIX}"


def segment_bases(directory: Path) -> list[int]:
    """Bases of the segments that are there, in order."""
    return sorted(int(path.stem) for path in directory.glob(f"*{SUFFIX}") if path.stem.isdecimal())


def remove(directory: Path) -> None:
    """Remove an empty spool. What is not the spool's own stays, and so does the directory."""
    for name in (_ABOUT, SpoolLock.NAME):
        (directory / name).unlink(missing_ok=True)
    try:
        directory.rmdir()
    except OSError:
        pass  # damaged segments that were kept for people


def left_behind(root: Path, target: str) -> Iterator[tuple[Path, SpoolLock]]:
    """Spools under `root` of this host's ended processes, meant for `target`; each comes locked."""
    if not root.is_dir():
        return
    for directory in sorted(root.iterdir()):
        about = read_about(directory)
        if about is None or about.target != target or about.host != platform.node():
            continue
        try:
            lock = SpoolLock.take(directory)
        except OSError:
            continue  # delivered and removed by another process a moment ago
        if lock is None:
            continue
        if read_about(directory) is None:
            lock.release()  # likewise: we locked what was just unlinked
            continue
        yield directory, lock


def sync(directory: Path) -> None:
    """Make the directory's entries durable."""
    fd = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
