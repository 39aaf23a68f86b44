"""Reads a spool's records in order, and knows what they rely on."""

from __future__ import annotations

import logging
import os

from rekam.spool import directory as spool_directory
from rekam.spool.records import SEGMENT_HEADER, Damaged, Kind, Stored, check_segment_header, read_record
from rekam.spool.spool import Segment, Spool

log = logging.getLogger("rekam")


class Cursor:
    """Goes through the frames, texts and control records after `after`, for one connection.

    Definitions are not handed out but kept: `runs[handle]` and `key_sets[hash]` are the
    bodies that stand for the record just returned. They are those of one segment, so
    they are bounded by its size.
    """

    def __init__(self, spool: Spool, after: int) -> None:
        self.runs: dict[int, bytes] = {}
        self.key_sets: dict[bytes, bytes] = {}
        self._spool = spool
        self._after = after
        self._segment: Segment | None = None
        self._position = 0
        self._fd = -1

    def next(self) -> Stored | None:
        """The next record; None when the end is reached for now."""
        while True:
            if self._segment is None or self._position >= self._segment.end:
                if not self._advance():
                    return None
                continue
            stored = self._read(self._segment)
            if stored is None:
                continue
            record = stored.record
            if record.kind is Kind.RUN:
                self.runs[record.handle] = record.body
            elif record.kind is Kind.KEY_SET:
                self.key_sets[record.key_set] = record.body
            elif stored.position > self._after and self._defined(stored, self._segment):
                return stored

    @property
    def reached(self) -> int:
        """Everything before this position was handed out, skipped or lost."""
        return self._position

    def close(self) -> None:
        """Close the segment file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _advance(self) -> bool:
        """Open the next segment that has something to read; False when there is none."""
        behind = self._segment.base if self._segment else -1
        for segment in self._spool.segments():
            if segment.base <= behind or segment.last <= self._after:
                continue
            self.close()
            self.runs.clear()
            self.key_sets.clear()
            self._segment = segment
            self._position = segment.base + SEGMENT_HEADER.size
            self._fd = os.open(
                spool_directory.segment_path(self._spool.directory, segment.base), os.O_RDONLY | os.O_CLOEXEC
            )
            try:
                check_segment_header(os.pread(self._fd, SEGMENT_HEADER.size, 0), segment.base)
            except Damaged as damage:
                self._cut(segment, damage)
            return True
        return False

    def _read(self, segment: Segment) -> Stored | None:
        try:
            stored = read_record(self._fd, segment.base, self._position, segment.end)
        except Damaged as damage:
            if damage.resume is None:
                self._cut(segment, damage)
            else:
                log.error("spool %s: lost a record: %s", self._spool.directory, damage)
                segment.damaged = True
                self._position = damage.resume
            return None
        self._position += stored.record.size
        return stored

    def _defined(self, stored: Stored, segment: Segment) -> bool:
        """Whether what a record relies on could be read."""
        record = stored.record
        if record.kind is Kind.CONTROL or (
            record.handle in self.runs and (record.kind is Kind.TEXT or record.key_set in self.key_sets)
        ):
            return True
        log.error(
            "spool %s: lost the record at position %d: what it relies on is damaged",
            self._spool.directory,
            stored.position,
        )
        segment.damaged = True
        return False

    def _cut(self, segment: Segment, damage: Damaged) -> None:
        """Nothing between the damage and what is appended from now on can be read."""
        lost = segment.end - damage.position
        if lost > 0:
            log.error("spool %s: lost %d bytes: %s", self._spool.directory, lost, damage)
            segment.damaged = True
        self._position = segment.end
