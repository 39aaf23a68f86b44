"""An append-only queue of records on disk, trimmed by acknowledgements.

Positions count the bytes of all segments since the spool began, so a record's position
is also its id on the ingest stream. One thread appends, one reads (`Cursor`), any may
wait; `changed` is notified when the end or the acknowledged position moves.
"""

from __future__ import annotations

import errno
import logging
import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from rekam.errors import SpoolError
from rekam.spool import directory as spool_directory
from rekam.spool.damage import Damage, Damages
from rekam.spool.lock import SpoolLock
from rekam.spool.records import SEGMENT_HEADER, Kind, Record, encode_header, segment_header

log = logging.getLogger("rekam")

SEGMENT_BYTES = 16 * 1024 * 1024
# A disk that was full is tried again after so long, when there is another one meanwhile.
_FULL_SECONDS = 10.0
_NO_SPACE = {errno.ENOSPC, errno.EDQUOT}
# macOS has no fdatasync.
_fsync = getattr(os, "fdatasync", os.fsync)


@dataclass(slots=True)
class Place:
    """A directory that takes up to `limit` bytes of segments."""

    directory: Path
    limit: int
    used: int = 0
    # Of time.monotonic(): until then its disk counts as full.
    full_until: float = 0.0

    def takes(self, size: int) -> bool:
        """Whether there is room for `size` more bytes."""
        return self.used + size <= self.limit and time.monotonic() >= self.full_until


@dataclass(slots=True)
class Segment:
    """A segment file. Its bytes are the spool's from `base` to `end`."""

    base: int
    end: int
    # Position of the spool's last record up to here.
    last: int
    place: Place
    # Whether a reader found bytes that are no record.
    damaged: bool = False

    @property
    def path(self) -> Path:
        """The file."""
        return spool_directory.segment_path(self.place.directory, self.base)


@dataclass(frozen=True, slots=True)
class Definition:
    """What records of a segment rely on: stands in every segment before the first that does."""

    kind: Kind
    handle: int
    key_set: bytes
    body: bytes
    waits: bool = False


class Spool:
    """A spool that this process appends to, or one that an ended process left behind.

    Segments lie in its directory, and beyond that one's bound or its disk's end in a second
    place, when there is one; in one order, whatever the place.
    """

    def __init__(
        self,
        places: list[Place],
        lock: SpoolLock,
        *,
        fsync: str = "interval",
        fsync_seconds: float = 1.0,
        segment_bytes: int = SEGMENT_BYTES,
    ) -> None:
        self.directory = places[0].directory
        self.changed = threading.Condition()
        self.acknowledged = 0
        self.damages = Damages()
        self._places = places
        self._lock = lock
        self._fsync = fsync
        self._fsync_seconds = fsync_seconds
        self._segment_bytes = segment_bytes
        self._segments: list[Segment] = []
        # Held while the segment that is written is changed, or synced.
        self._writing = threading.Lock()
        self._fd = -1
        # Definitions that stand in the segment being written: handle or key set -> body.
        self._defined: dict[int | bytes, bytes] = {}
        self._synced_at = time.monotonic()
        self._unsynced = False
        # Whether the last record found no room.
        self.full = False
        self._told_spill = False

    @classmethod
    def create(
        cls,
        root: Path,
        target: str,
        *,
        limit: int,
        spill_root: Path | None = None,
        spill_limit: int = 0,
        fsync: str = "interval",
        fsync_seconds: float = 1.0,
        segment_bytes: int = SEGMENT_BYTES,
    ) -> Spool:
        """A new, empty spool of this process under `root`; without room there under `spill_root`."""
        try:
            directory, spill, lock = spool_directory.create(root, target, spill_root)
        except SpoolError as error:
            if spill_root is None:
                raise
            directory, spill, lock = spool_directory.create(spill_root, target)
            limit = spill_limit
            log.warning("%s; all of it goes into %s", error, directory)
        places = [Place(directory, limit)]
        if spill is not None:
            places.append(Place(spill, spill_limit))
        # Small enough that a full place frees some while it waits.
        segment_bytes = min(segment_bytes, *(place.limit // 4 for place in places))
        return cls(places, lock, fsync=fsync, fsync_seconds=fsync_seconds, segment_bytes=segment_bytes)

    @classmethod
    def adopt(cls, directory: Path, lock: SpoolLock) -> Spool:
        """The spool that an ended process left behind; `lock` is held.

        Raises SpoolError, and releases the lock, when a part of it is not there.
        """
        try:
            directories = spool_directory.places(directory, spool_directory.read_about(directory))
        except SpoolError:
            lock.release()
            raise
        places = {each: Place(each, limit=0) for each in directories}
        spool = cls(list(places.values()), lock)
        for base, path in spool_directory.segments_in(directories):
            end = base + path.stat().st_size
            if spool._segments and spool.end != base:
                spool._miss(spool._segments[-1], base)
            # Its last record is known when it has been read; until then all of it is outstanding.
            place = places[path.parent]
            place.used += end - base
            spool._segments.append(Segment(base, end, end - 1, place))
        return spool

    def _miss(self, segment: Segment, base: int) -> None:
        """Take note that `segment` does not end where the next one begins."""
        if segment.end < base:
            segment.damaged = True
            reason = "cut off, or the segment behind it is gone"
            self.damages.add(Damage(segment.path, segment.end, base - segment.end, reason))
        segment.end = base

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

    @property
    def left(self) -> int:
        """Bytes that are not acknowledged, to a record."""
        if not self.outstanding:
            return 0
        return self.end - max(self._segments[0].base, self.acknowledged)

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
                segment.place.used -= segment.end - segment.base
        for segment in done:
            if segment.damaged and segment.path.exists():
                segment.path.rename(segment.path.with_suffix(spool_directory.DAMAGED_SUFFIX))
            else:
                segment.path.unlink(missing_ok=True)

    # ---- what the writer needs ----

    def append(
        self, record: Record, definitions: tuple[Definition, ...] = (), deadline: float | None = None
    ) -> bool:
        """Write a record, and definitions the segment lacks; False when there is no room until `deadline`.

        deadline: of time.monotonic(); None waits for ever. Raises SpoolError when the disk refuses;
        nothing is half-written then and the call can be repeated.
        """
        size = record.size + sum(len(d.body) + 64 for d in definitions)
        while True:
            place = self._make_room(size, deadline)
            if place is None:
                return False
            try:
                with self._writing:
                    self._append(place, record, definitions)
                if self._fsync == "always":
                    self.sync()
                return True
            except OSError as error:
                if error.errno in _NO_SPACE:
                    place.full_until = time.monotonic() + _FULL_SECONDS
                    if any(each.takes(size) for each in self._places):
                        continue
                    for each in self._places:
                        each.full_until = 0.0
                raise SpoolError(
                    f"cannot write the spool {place.directory}: {error.strerror or error}"
                ) from error

    def sync(self) -> None:
        """Make what was appended durable, unless the policy says never."""
        with self._writing:
            if self._unsynced and self._fsync != "never" and self._fd >= 0:
                try:
                    _fsync(self._fd)
                except OSError as error:
                    raise SpoolError(
                        f"cannot make the spool {self.directory} durable: {error.strerror or error}"
                    ) from error
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
            spool_directory.remove(self.directory, *(place.directory for place in self._places[1:]))
        self._lock.release()

    def abandon(self) -> None:
        """In a forked child: close inherited files; the spool stays the parent's."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        self._lock.abandon()

    # ---- the segment being written ----

    def _make_room(self, size: int, deadline: float | None) -> Place | None:
        """Where the next record goes; None when there is no room until `deadline`."""
        with self.changed:
            while (place := self._place_for(size)) is None:
                left = None if deadline is None else deadline - time.monotonic()
                if not self.full:
                    self.full = True
                    log.warning(
                        "the spool %s reached its bound of %d bytes: it takes more when the server has taken "
                        "some; see REKAM_SPOOL_BYTES and REKAM_ON_FULL",
                        self.directory,
                        sum(each.limit for each in self._places),
                    )
                if left is not None and left <= 0:
                    return None
                # A full disk may have room again without a word.
                self.changed.wait(_FULL_SECONDS if left is None else min(left, _FULL_SECONDS))
            self.full = False
            self._tell_spill(place)
            return place

    def _place_for(self, size: int) -> Place | None:
        if self._fd >= 0:
            place = self._segments[-1].place
            if place.takes(size) and not self._ended(self._segments[-1]):
                return place
        if not self.outstanding:
            # All of it is acknowledged: rolling frees it.
            return next((place for place in self._places if time.monotonic() >= place.full_until), None)
        return next((place for place in self._places if place.takes(size)), None)

    def _ended(self, segment: Segment) -> bool:
        return segment.end - segment.base >= self._segment_bytes

    def _tell_spill(self, place: Place) -> None:
        spills = place is not self._places[0]
        if spills and not self._told_spill:
            log.warning("no more room in the spool %s: it goes on in %s", self.directory, place.directory)
        elif self._told_spill and not spills:
            log.warning("there is room in the spool %s again", self.directory)
        self._told_spill = spills

    def _append(self, place: Place, record: Record, definitions: tuple[Definition, ...]) -> None:
        if self._fd < 0 or self._segments[-1].place is not place or self._ended(self._segments[-1]):
            self._roll(place)
        for definition in definitions:
            name = definition.handle if definition.kind is Kind.RUN else definition.key_set
            if self._defined.get(name) is not definition.body:
                self._write(
                    Record(
                        definition.kind,
                        definition.body,
                        definition.handle,
                        0,
                        definition.key_set,
                        definition.waits,
                    )
                )
                self._defined[name] = definition.body
        self._write(record)

    def _roll(self, place: Place) -> None:
        """Begin a new segment: defined by itself, so that those before it can go."""
        base = self.end
        path = spool_directory.segment_path(place.directory, base)
        if self._fd >= 0 and self._unsynced and self._fsync != "never":
            _fsync(self._fd)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            header = segment_header(base)
            if os.write(fd, header) < len(header):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            if self._fsync != "never":
                spool_directory.sync(place.directory)
        except OSError:
            os.close(fd)
            path.unlink(missing_ok=True)
            raise
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = fd
        self._defined.clear()
        with self.changed:
            self._segments.append(Segment(base, base + SEGMENT_HEADER.size, self.last, place))
            place.used += SEGMENT_HEADER.size
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
            segment.place.used += record.size
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
