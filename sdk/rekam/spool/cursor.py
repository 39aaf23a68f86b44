"""Reads a spool's records in order, and knows what they rely on."""

from __future__ import annotations

import os

from rekam.spool.damage import Damage
from rekam.spool.records import (
    SEGMENT_HEADER,
    Damaged,
    Kind,
    Record,
    Stored,
    check_segment_header,
    read_record,
)
from rekam.spool.spool import Segment, Spool
from rekam_proto.ingest.v1 import ingest_pb2

_NUMBERED = (Kind.FRAME, Kind.TEXT)


class Cursor:
    """Goes through the frames, texts and control records after `after`, for one connection.

    Definitions are not handed out but kept: `runs[handle]` and `key_sets[hash]` are the
    records that stand for the one just returned. They are those of one segment, so they are
    bounded by its size. What cannot be read is skipped and told to `spool.damages`.
    """

    def __init__(self, spool: Spool, after: int) -> None:
        self.runs: dict[int, Record] = {}
        self.key_sets: dict[bytes, Record] = {}
        self._spool = spool
        self._after = after
        self._segment: Segment | None = None
        self._position = 0
        self._fd = -1
        # Of each handle: the run's definition, and the sequence of its next record.
        self._expected: dict[int, tuple[bytes, int]] = {}

    def next(self) -> Stored | None:
        """The next record; None when the end is reached for now."""
        while True:
            if self._segment is None or self._position >= self._segment.end:
                if not self._advance():
                    return None
                continue
            try:
                stored = read_record(self._fd, self._segment.base, self._position, self._segment.end)
            except Damaged as damaged:
                self._skip(self._segment, damaged)
                continue
            except OSError as error:
                self._skip(self._segment, _unreadable(self._position, self._segment, error))
                continue
            self._position += stored.record.size
            record = stored.record
            if record.kind is Kind.RUN:
                self.runs[record.handle] = record
            elif record.kind is Kind.KEY_SET:
                self.key_sets[record.key_set] = record
            elif self._usable(stored, self._segment) and stored.position > self._after:
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
            try:
                self._fd = os.open(segment.path, os.O_RDONLY | os.O_CLOEXEC)
                header = os.pread(self._fd, SEGMENT_HEADER.size, 0)
                check_segment_header(header, segment.base, segment.end)
            except OSError as error:
                self._skip(segment, _unreadable(segment.base, segment, error))
            except Damaged as damaged:
                self._skip(segment, damaged)
            return True
        return False

    def _usable(self, stored: Stored, segment: Segment) -> bool:
        """Whether what a record relies on could be read; tells of those missing before it."""
        record = stored.record
        if record.kind is Kind.CONTROL:
            return True
        run = self.runs.get(record.handle)
        if run is None or (record.kind is Kind.FRAME and record.key_set not in self.key_sets):
            reason = f"what the record relies on (its {'key set' if run else 'run'}) is damaged"
            self._tell(segment, stored.position, record.size, reason, run, (record.sequence,) * 2)
            if run is not None:
                self._expected[record.handle] = (run.body, record.sequence + 1)
            return False
        body, expected = self._expected.get(record.handle, (run.body, record.sequence))
        if body == run.body and record.sequence > expected:
            self._tell(segment, stored.position, 0, "lost before it", run, (expected, record.sequence - 1))
        self._expected[record.handle] = (run.body, record.sequence + 1)
        return True

    def _skip(self, segment: Segment, damaged: Damaged) -> None:
        """Go on behind bytes that are no records."""
        likely = damaged.likely
        run = sequences = None
        if likely is not None and likely.kind in _NUMBERED and likely.handle in self.runs:
            # Its header may be what is damaged: believed when it names the record that comes next.
            body = self.runs[likely.handle].body
            if self._expected.get(likely.handle, (body, 1)) == (body, likely.sequence):
                self._expected[likely.handle] = (body, likely.sequence + 1)
                run, sequences = self.runs[likely.handle], (likely.sequence, likely.sequence)
        size = damaged.resume - damaged.position
        self._tell(segment, damaged.position, size, damaged.reason, run, sequences)
        self._position = damaged.resume

    def _tell(
        self,
        segment: Segment,
        position: int,
        size: int,
        reason: str,
        run: Record | None,
        sequences: tuple[int, int] | None,
    ) -> None:
        segment.damaged = True
        opened = ingest_pb2.IngestRequest.FromString(run.body).open_run if run is not None else None
        run_id, writer = (opened.run_id, opened.writer) if opened is not None else ("", "")
        self._spool.damages.add(Damage(segment.path, position, size, reason, run_id, writer, sequences))


def _unreadable(position: int, segment: Segment, error: OSError) -> Damaged:
    return Damaged(position, segment.end, f"cannot be read: {error.strerror}")
