"""Files of this machine that are to become artifacts. One that changes while it is read is noticed."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from rekam.errors import ArtifactError, Invalid
from rekam.transfer.paths import clean, join

CHUNK_BYTES = 1024 * 1024

# Of a file's state: inode, size, time of the last change.
_Stamp = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file as it was found, and the path that it is to have among the artifacts."""

    source: Path
    path: str
    stamp: _Stamp

    @property
    def size(self) -> int:
        """Its bytes."""
        return self.stamp[1]

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """The file, to be read; ArtifactError when it has changed since it was found, before or after."""
        with self.source.open("rb") as stream:
            self._check(stream)
            yield stream
            self._check(stream)

    def chunks(self, stream: IO[bytes], offset: int = 0, size: int | None = None) -> Iterator[bytes]:
        """Bytes of the opened file, some at a time. Any number of threads may read it so."""
        left = self.size - offset if size is None else size
        while left > 0:
            try:
                chunk = os.pread(stream.fileno(), min(left, CHUNK_BYTES), offset)
            except OSError as error:
                raise ArtifactError(f"{self.source} cannot be read: {error.strerror}") from error
            if not chunk:
                raise _changed(self.source)
            yield chunk
            offset += len(chunk)
            left -= len(chunk)

    def digest(self) -> str:
        """SHA-256 of its bytes, in hex."""
        with self.open() as stream:
            hashed = hashlib.sha256()
            for chunk in self.chunks(stream):
                hashed.update(chunk)
            return hashed.hexdigest()

    def _check(self, stream: IO[bytes]) -> None:
        if _stamp(os.fstat(stream.fileno())) != self.stamp:
            raise _changed(self.source)


def find(local: str | os.PathLike[str], to: str | None = None, *, field: str = "local_path") -> LocalFile:
    """One file, for the folder `to`. Raises the system's own error when it is missing or cannot be read."""
    source = Path(local)
    return _file(source, join(to, clean(name_of(local), field)), source.stat())


def name_of(local: str | os.PathLike[str]) -> str:
    """The name of a file or directory, also of one that is named as "." or "a/.."."""
    return Path(os.path.normpath(Path(local).absolute())).name


def find_all(local: str | os.PathLike[str], to: str | None = None) -> Iterator[LocalFile]:
    """Every file below a directory, links followed, in the order of their names.

    Raises Invalid for what is neither file nor directory, for a name that no artifact can have, and for
    links that lead in a circle; the system's own error for what is missing or cannot be read.
    """
    root = Path(local)
    yield from _walk(root, to or "", (_identity(root.stat()),))


def _walk(directory: Path, to: str, above: tuple[tuple[int, int], ...]) -> Iterator[LocalFile]:
    with os.scandir(directory) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        source = Path(entry.path)
        path = join(to, clean(entry.name, f"the name of {entry.path!r}"))
        status = source.stat()
        if not stat.S_ISDIR(status.st_mode):
            yield _file(source, path, status)
            continue
        identity = _identity(status)
        if identity in above:
            raise Invalid(
                f"{source} links to a directory that it lies in: this has no end", field="local_dir"
            )
        yield from _walk(source, path, (*above, identity))


def _file(source: Path, path: str, status: os.stat_result) -> LocalFile:
    if not stat.S_ISREG(status.st_mode):
        raise Invalid(f"{source} is no file that can be logged (a pipe, a socket or a device)")
    return LocalFile(source, path, _stamp(status))


def _changed(source: Path) -> ArtifactError:
    return ArtifactError(f"{source} changed while it was read: log it when it is complete")


def _stamp(status: os.stat_result) -> _Stamp:
    return status.st_ino, status.st_size, status.st_mtime_ns


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino
