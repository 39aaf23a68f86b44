"""Files that wait in a spool's directory until there is a server: a copy of each, and what it is to be."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
import uuid
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from rekam.errors import SpoolError
from rekam.spool import directory as spool_directory
from rekam.transfer.local import LocalFile

log = logging.getLogger("rekam")


_WAITING = ".json"
_REFUSED = ".refused"
_BYTES = ".bytes"


@dataclass(frozen=True, slots=True)
class KeptFile:
    """A file for `path` among a run's artifacts. name: of the two files that stand for it."""

    name: str
    run_id: str
    path: str
    size: int
    digest: str


class Kept:
    """The files of one spool, oldest first."""

    def __init__(self, directory: Path) -> None:
        self.folder = directory / spool_directory.FILES

    @property
    def bytes(self) -> int:
        """What they take."""
        return sum(each.stat().st_size for each in self._all(_BYTES))

    def add(self, run_id: str, files: Iterable[LocalFile], room: int) -> int:
        """Keep copies, of `room` bytes at most; answers with how many bytes these are.

        Raises SpoolError when there is no more room, or the disk refuses. Those before stay.
        """
        taken = 0
        for file in files:
            taken += file.size
            if taken > room:
                raise SpoolError(
                    f"{file.source} has {file.size} bytes, and the spool {self.folder.parent} room for "
                    f"{max(0, room - taken + file.size)}: REKAM_SPOOL_BYTES is its bound",
                    field="REKAM_SPOOL_BYTES",
                )
            self._add(run_id, file)
        return taken

    def _add(self, run_id: str, file: LocalFile) -> None:
        name = f"{time.time_ns():020d}-{uuid.uuid4().hex[:8]}"
        copy, hashed = self.folder / f"{name}{_BYTES}", hashlib.sha256()
        try:
            self.folder.mkdir(mode=0o700, exist_ok=True)
            with file.open() as stream, copy.open("xb") as out:
                for chunk in file.chunks(stream):
                    hashed.update(chunk)
                    out.write(chunk)
                out.flush()
                os.fsync(out.fileno())
            about = KeptFile(name, run_id, file.path, file.size, hashed.hexdigest())
            fresh = self.folder / f"{name}.fresh"
            fresh.write_text(json.dumps(asdict(about)))
            fresh.rename(self.folder / f"{name}{_WAITING}")
            spool_directory.sync(self.folder)
        except BaseException as error:
            copy.unlink(missing_ok=True)
            if isinstance(error, OSError) and error.filename != str(file.source):
                raise SpoolError(f"cannot keep {file.source} in {self.folder}: {error}") from error
            raise

    def waiting(self) -> list[KeptFile]:
        """Those that are to be delivered; what cannot be read of them is told."""
        found = []
        for path in self._all(_WAITING):
            try:
                found.append(KeptFile(**json.loads(path.read_text())))
            except (OSError, ValueError, TypeError) as error:
                log.error("%s cannot be read: %s", path, error)
        return found

    def refused(self) -> int:
        """How many the server did not take: kept for people."""
        return len(self._all(_REFUSED))

    def copy_of(self, kept: KeptFile) -> LocalFile:
        """Its bytes, as a file to be sent."""
        source = self.folder / f"{kept.name}{_BYTES}"
        status = source.stat()
        return LocalFile(source, kept.path, (status.st_ino, status.st_size, status.st_mtime_ns))

    def done(self, kept: KeptFile) -> None:
        """The server has it."""
        for suffix in (_WAITING, _BYTES):
            (self.folder / f"{kept.name}{suffix}").unlink(missing_ok=True)
        with suppress(OSError):
            self.folder.rmdir()

    def refuse(self, kept: KeptFile) -> None:
        """The server does not take it: it stays for people."""
        about = self.folder / f"{kept.name}{_WAITING}"
        about.rename(about.with_suffix(_REFUSED))

    def _all(self, suffix: str) -> list[Path]:
        try:
            return sorted(each for each in self.folder.iterdir() if each.suffix == suffix)
        except FileNotFoundError:
            return []
