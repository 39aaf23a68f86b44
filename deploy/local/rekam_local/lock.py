"""One supervisor per data directory: a lock that dies with its holder."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType

from rekam_local.errors import StackError


class DirectoryLock:
    """flock on DIR/lock. The kernel lets go of it however the holder ends; the file stays.

    The file also tells the holder's pid, for the message of the one who comes second.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        try:
            self._fd = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StackError(f"{directory} cannot be used: {error.strerror}: {error.filename}") from error

    def __enter__(self) -> DirectoryLock:
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(self._fd, 32, 0).decode().strip() or "unknown"
            os.close(self._fd)
            raise StackError(
                f"{self._directory} is in use by pid {holder}; stop it or take another --data"
            ) from error
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._fd)
