"""An append-only queue of records on disk, trimmed by acknowledgements.

Positions count the bytes of all segments since the spool began, so a record's position
is also its id on the ingest stream. One thread appends, one reads (`Cursor`), any may
wait; `changed` is notified when the end or the acknowledged position moves.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from rekam.errors import SpoolError
from rekam.spool import directory as spool_directory
from rekam.spool.lock import SpoolLock
from rekam.spool.records import SEGMENT_HEADER, Kind, Record, encode_header, segment_header

log = logging.getLogger("rekam")

SEGMENT_BYTES = 16 * 1024 * 1024
# macOS has no fdatasync.
_fsync = getattr(os, "fdatasync", os.fsync)


@dataclass(slots=True)
class Segment:
    """A segment file. Its bytes are the spool's from `base` to `end`."""

    base: int
    end: int
    # Position of the spool's last record up to here.
    last: int
    # Whether a reader found bytes that are no record.
    damaged: bool = False


@dataclass(frozen=True, slots=True)
class Definition:
    """What records of a segment rely on: stands in every segment before the first that does."""

    kind: Kind
    handle: int
    key_set: bytes
    body: bytes


class Spool:
    """A spool that this process appends to, or one that an ended process left behind."""

    def __init__(
        self,
        directory: Path,
        lock: SpoolLock,
        *,
        limit: int,
        fsync: str = "interval",
        fsync_seconds: float = 1.0,
        segment_bytes: int = SEGMENT_BYTES,
    ) -> None:
        self.directory = directory
        self.changed = threading.Condition()
        self.acknowledged = 0
        self._lock = lock
        self._limit = limit
        self._fsync = fsync
        self._fsync_seconds = fsync_seconds
        self._segment_bytes = min(segment_bytes, limit // 4)
        self._segments: list[Segment] = []
        self._fd = -1
        # Definitions that stand in the segment being written: handle or key set -> body.
        self._defined: dict[int | bytes, bytes] = {}
        self._synced_at = time.monotonic()
        self._unsynced = False
        self._told_full = False

    @classmethod
    def create(cls, root: Path, target: str, **options: object) -> Spool:
        """A new, empty spool of this process under `root`."""
        directory, lock = spool_directory.create(root, target)
        return cls(directory, lock, **options)  # type: ignore[arg-type]

    @classmethod
    def adopt(cls, directory: Path, lock: SpoolLock) -> Spool:
        """The spool that an ended process left behind; `lock` is held."""
        spool = cls(directory, lock, limit=0)
        for base in spool_directory.segment_bases(directory):
            end = base + spool_directory.segment_path(directory, base).stat().st_size
            # Its last record is known when it has been read; until then all of it is outstanding.
            spool._segments.append(Segment(base, end, last=end - 1))
        return spool

    # ---- what a reader needs ----

    @property
    def end(self) -> int:
        """Position after the last record."""
        return self._segments[-1].end if self._segments else 0

    @property
    def last(self) -> int:
        """Position of the last record; 0 when there never was one."""
        return self._segments[-1].last if self._segments else self.acknowledged

    @property
    def bytes(self) -> int:
        """Bytes on disk."""
        return self._segments[-1].end - self._segments[0].base if self._segments else 0

    @property
    def outstanding(self) -> bool:
        """Whether a record is not acknowledged."""
        return self.last > self.acknowledged

    def segments(self) -> list[Segment]:
        """The segments that are there, in order."""
        with self.changed:
            return list(self._segments)

    def acknowledge(self, position: int) -> None:
        """Every record up to `position` is done with; delete the segments that hold no other."""
        with self.changed:
            self.acknowledged = max(self.acknowledged, position)
            done = []
            while self._segments and self._segments[0].last <= self.acknowledged:
                if len(self._segments) == 1 and self._fd >= 0:
                    break  # still being written
                done.append(self._segments.pop(0))
            self.changed.notify_all()
        for segment in done:
            path = spool_directory.segment_path(self.directory, segment.base)
            if segment.damaged:
                path.rename(path.with_suffix(".damaged"))
            else:
                path.unlink(missing_ok=True)

    # ---- what the writer needs ----

    def append(
        self, record: Record, definitions: tuple[Definition, ...] = (), deadline: float | None = None
    ) -> bool:
        """Write a record, and definitions the segment lacks; False when there is no room until `deadline`.

        deadline: of time.monotonic(); None waits for ever. Raises SpoolError when the disk refuses;
        nothing is half-written then and the call can be repeated.
        """
        if not self._make_room(record.size + sum(len(d.body) + 64 for d in definitions), deadline):
            return False
        try:
            if self._fd < 0 or self._segments[-1].end - self._segments[-1].base >= self._segment_bytes:
                self._roll()
            for definition in definitions:
                name = definition.handle if definition.kind is Kind.RUN else definition.key_set
                if self._defined.get(name) is not definition.body:
                    self._write(
                        Record(definition.kind, definition.body, definition.handle, 0, definition.key_set)
                    )
                    self._defined[name] = definition.body
            self._write(record)
            if self._fsync == "always":
                self.sync()
        except OSError as error:
            raise SpoolError(f"cannot write the spool {self.directory}: {error.strerror or error}") from error
        return True

    def sync(self) -> None:
        """Make what was appended durable, unless the policy says never."""
        if self._unsynced and self._fsync != "never" and self._fd >= 0:
            _fsync(self._fd)
        self._unsynced = False
        self._synced_at = time.monotonic()

    def sync_if_due(self) -> None:
        """`sync` once per period."""
        if self._unsynced and time.monotonic() - self._synced_at >= self._fsync_seconds:
            self.sync()

    def wait_acknowledged(self, position: int, deadline: float) -> bool:
        """Wait until everything up to `position` is acknowledged; False when `deadline` passes."""
        with self.changed:
            return self.changed.wait_for(
                lambda: self.acknowledged >= position, max(0.0, deadline - time.monotonic())
            )

    def close(self) -> None:
        """Let go of the directory; remove it when nothing is outstanding."""
        self.sync()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        if not self.outstanding:
            self.acknowledge(self.last)
            spool_directory.remove(self.directory)
        self._lock.release()

    def abandon(self) -> None:
        """In a forked child: close inherited files; the spool stays the parent's."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        self._lock.abandon()

    # ---- the segment being written ----

    def _make_room(self, size: int, deadline: float | None) -> bool:
        with self.changed:
            if self.bytes + size <= self._limit or not self._segments:
                self._told_full = False
                return True
            if self._fd >= 0 and len(self._segments) == 1 and not self.outstanding:
                return True  # all of it is acknowledged; rolling frees it
            if not self._told_full:
                self._told_full = True
                log.warning(
                    "the spool %s reached its bound of %d bytes: it takes more when the server has taken "
                    "some; see REKAM_SPOOL_BYTES and REKAM_ON_FULL",
                    self.directory,
                    self._limit,
                )
            timeout = None if deadline is None else max(0.0, deadline - time.monotonic())
            return self.changed.wait_for(
                lambda: self.bytes + size <= self._limit or not self.outstanding, timeout
            )

    def _roll(self) -> None:
        """Begin a new segment: defined by itself, so that those before it can go."""
        base = self.end
        path = spool_directory.segment_path(self.directory, base)
        if self._fd >= 0:
            self.sync()
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.write(fd, segment_header(base))
            if self._fsync != "never":
                spool_directory.sync(self.directory)
        except OSError:
            os.close(fd)
            path.unlink(missing_ok=True)
            raise
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = fd
        self._defined.clear()
        with self.changed:
            self._segments.append(Segment(base, base + SEGMENT_HEADER.size, self.last))
        self.acknowledge(self.acknowledged)

    def _write(self, record: Record) -> None:
        segment = self._segments[-1]
        offset = segment.end - segment.base
        parts: list[bytes | memoryview] = [encode_header(record), record.body]
        written = 0
        try:
            while written < record.size:
                written += os.pwritev(self._fd, _after(parts, written), offset + written)
        except OSError:
            os.ftruncate(self._fd, offset)
            raise
        self._unsynced = True
        with self.changed:
            segment.last = segment.end
            segment.end += record.size
            self.changed.notify_all()


def _after(parts: list[bytes | memoryview], written: int) -> list[bytes | memoryview]:
    """What is left of `parts` after `written` bytes."""
    left: list[bytes | memoryview] = []
    for part in parts:
        if written < len(part):
            left.append(memoryview(part)[written:] if written else part)
            written = 0
        else:
            written -= len(part)
    return left
