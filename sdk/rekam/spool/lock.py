"""Who owns a spool directory: an advisory lock that the system releases when its process ends."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


class SpoolLock:
    """Held as long as the file is open; a forked child must `abandon` what it inherited."""

    NAME = "lock"

    def __init__(self, fd: int) -> None:
        self._fd = fd

    @classmethod
    def take(cls, directory: Path, *, create: bool = True) -> SpoolLock | None:
        """The lock of a spool directory, or None when a live process holds it."""
        flags = os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if create else 0)
        fd = os.open(directory / cls.NAME, flags, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return None
        return cls(fd)

    @classmethod
    def none(cls) -> SpoolLock:
        """For who only looks."""
        return cls(-1)

    @classmethod
    def held(cls, directory: Path) -> bool:
        """Whether a live process holds it. For an instant this keeps others from taking it."""
        try:
            fd = os.open(directory / cls.NAME, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(fd)
        return False

    def release(self) -> None:
        """Give the directory up."""
        if self._fd >= 0:
            fcntl.flock(self._fd, fcntl.LOCK_UN)
            self.abandon()

    def abandon(self) -> None:
        """Close this process' copy; the lock stays with the process that took it."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
