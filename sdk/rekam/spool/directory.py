"""A spool's directory: what lies in it and for whom it is meant."""

from __future__ import annotations

import json
import os
import platform
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from rekam.errors import SpoolError
from rekam.spool.lock import SpoolLock

SUFFIX = ".spool"
DAMAGED_SUFFIX = ".damaged"
# Files that wait for a server, in a folder of the spool's own.
FILES = "files"
_ABOUT = "about.json"


@dataclass(frozen=True, slots=True)
class About:
    """For people and for whoever delivers the spool later."""

    target: str  # host:port of the gateway
    host: str
    pid: int
    created_ms: int
    # Directory of the segments for which there was no room here; empty: there are none.
    spill: str = ""
    # Of a directory with such segments: the spool that they are part of.
    part_of: str = ""

    @property
    def local(self) -> bool:
        """Whether the process ran on this host."""
        return self.host == platform.node()


def create(root: Path, target: str, spill_root: Path | None = None) -> tuple[Path, Path | None, SpoolLock]:
    """A new spool directory under `root`, locked, and one under `spill_root` for what it has no room for."""
    now = time.time()
    began = f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime(now))}.{int(now * 1000) % 1000:03d}"
    name = f"{began}-{os.getpid()}-{secrets.token_hex(4)}"
    directory, spill = root / name, spill_root / name if spill_root is not None else None
    # Nobody who looks for spools may see it before its lock is held.
    hidden = root / f".{name}"
    variable = "REKAM_SPOOL_DIR"
    try:
        _make(hidden)
        lock = SpoolLock.take(hidden)
        about = About(target, platform.node(), os.getpid(), int(now * 1000), str(spill or ""))
        if spill is not None:
            variable = "REKAM_SPILL_DIR"
            _make(spill)
            part = About(target, about.host, about.pid, about.created_ms, part_of=str(directory))
            (spill / _ABOUT).write_text(json.dumps(asdict(part)))
            variable = "REKAM_SPOOL_DIR"
        (hidden / _ABOUT).write_text(json.dumps(asdict(about)))
        hidden.rename(directory)
    except OSError as error:
        with suppress(OSError):
            remove(hidden, spill)
        raise SpoolError(
            f"cannot make a spool in {error.filename or root}: {error.strerror or error}; set {variable} "
            "to a directory that can be written",
            field=variable,
        ) from error
    assert lock is not None, "a hidden directory of a fresh random name is nobody else's"
    return directory, spill, lock


def _make(directory: Path) -> None:
    directory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory.mkdir(mode=0o700)


def read_about(directory: Path) -> About | None:
    """What a spool directory says of itself; None when it cannot be read."""
    try:
        return About(**json.loads((directory / _ABOUT).read_text()))
    except (OSError, ValueError, TypeError):
        return None


def segment_path(directory: Path, base: int) -> Path:
    """File of the segment whose first byte is the spool's byte `base`."""
    return directory / f"{base:020d}{SUFFIX}"


def segments_in(directories: Sequence[Path]) -> list[tuple[int, Path]]:
    """(base, file) of the segments that are there, in order."""
    found = [path for directory in directories for path in _files(directory, SUFFIX)]
    return sorted((int(path.stem), path) for path in found if path.stem.isdecimal())


def damaged_in(directory: Path) -> list[Path]:
    """Damaged segments that were kept for people."""
    return sorted(_files(directory, DAMAGED_SUFFIX))


def _files(directory: Path, suffix: str) -> list[Path]:
    try:
        return [path for path in directory.iterdir() if path.suffix == suffix]
    except (FileNotFoundError, NotADirectoryError):
        return []  # removed a moment ago, or no spool


def places(directory: Path, about: About | None) -> list[Path]:
    """Where a spool's segments lie. Raises SpoolError when one of the places is not there."""
    if about is None or not about.spill:
        return [directory]
    spill = Path(about.spill)
    if not spill.is_dir() and segments_in([directory]):
        raise SpoolError(f"a part of the spool {directory} lies in {spill}, which is not there")
    return [directory, spill]


def remove(directory: Path, spill: Path | None = None) -> None:
    """Remove an empty spool. Damaged segments stay, with what says whose they were; files that wait, too."""
    for each in (spill, directory):
        if each is None or (each / FILES).is_dir():
            continue
        (each / SpoolLock.NAME).unlink(missing_ok=True)
        if not damaged_in(each):
            (each / _ABOUT).unlink(missing_ok=True)
            try:
                each.rmdir()
            except OSError:
                pass  # what is not the spool's own stays, and so does the directory


def left_behind(roots: Sequence[Path], target: str) -> Iterator[tuple[Path, SpoolLock]]:
    """Spools of this host's ended processes, meant for `target`, oldest first; each comes locked."""
    for directory in _directories(roots):
        # The lock first: most are of processes that run, and there may be hundreds.
        lock = claim(directory, create=False)
        if lock is None:
            continue
        about = read_about(directory)
        if about is not None and about.target == target and about.local:
            yield directory, lock
        else:
            lock.release()


def spools_in(roots: Sequence[Path]) -> list[Path]:
    """Spools under `roots`, oldest first; not those of which only damaged segments are left."""
    return list(filter(_is_spool, _directories(roots)))


def _directories(roots: Sequence[Path]) -> list[Path]:
    """What is under the roots, by name: the oldest first."""
    found = [each for root in roots if root.is_dir() for each in root.iterdir()]
    return sorted((each for each in found if each.name[0] != "."), key=lambda each: each.name)


def _is_spool(directory: Path) -> bool:
    about = read_about(directory)
    if about is None:
        return bool(segments_in([directory]))
    if about.part_of:
        return False
    both = [directory, Path(about.spill)] if about.spill else [directory]
    return bool(segments_in(both)) or not any(damaged_in(each) for each in both)


def claim(directory: Path, *, create: bool = True) -> SpoolLock | None:
    """The lock of a spool; None when a process has it, or it is gone. create: when it never had one."""
    try:
        lock = SpoolLock.take(directory, create=create)
    except OSError:
        return None  # delivered and removed by another process a moment ago
    if lock is not None and not _is_spool(directory):
        lock.release()  # likewise: we locked what was just unlinked
        return None
    return lock


def sync(directory: Path) -> None:
    """Make the directory's entries durable."""
    fd = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
