"""One writer of one run: the hot path of every log call."""

from __future__ import annotations

import os
import secrets
import struct
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from time import time_ns
from typing import Any

from rekam.errors import Invalid
from rekam.recording.buffer import Buffer
from rekam.recording.frames import frame_bodies
from rekam.recording.key_sets import KeySet, key_set_of, row_fault
from rekam.recording.texts import numbered_text, text_bodies
from rekam.spool.records import NO_KEY_SET, Kind, Record
from rekam.spool.spool import Definition
from rekam_proto.event.v1 import envelope_pb2
from rekam_proto.ingest.v1 import ingest_pb2
from rekam_proto.tracking.v1 import dataset_pb2, read_pb2, run_pb2

# Key sets that a writer finds without checking them again.
_REMEMBERED = 4_096


class Columns:
    """A key set as used by one writer: what a buffered row of metrics belongs to."""

    __slots__ = ("definitions", "key_set", "pack", "row_bytes", "writer")

    def __init__(self, writer: RunWriter, key_set: KeySet) -> None:
        self.writer = writer
        self.key_set = key_set
        self.pack = key_set.pack
        self.row_bytes = key_set.row_bytes
        self.definitions = (writer.definition, key_set.definition)

    def records(self, rows: Sequence[bytes]) -> Iterator[Record]:
        """The frames that hold `rows`, numbered."""
        writer = self.writer
        for sequence, body in frame_bodies(writer.handle, writer.next_sequence, self.key_set, rows):
            writer.next_sequence = sequence + 1
            yield Record(Kind.FRAME, body, writer.handle, sequence, self.key_set.hash)


class Texts:
    """Text of one writer: what buffered lines belong to."""

    __slots__ = ("definitions", "writer")

    def __init__(self, writer: RunWriter) -> None:
        self.writer = writer
        self.definitions = (writer.definition,)

    def records(self, bodies: Sequence[bytes]) -> Iterator[Record]:
        """A record for each body (`text_bodies`), numbered."""
        writer = self.writer
        for body in bodies:
            sequence = writer.next_sequence
            writer.next_sequence += 1
            numbered = numbered_text(writer.handle, sequence, body)
            yield Record(Kind.TEXT, numbered, writer.handle, sequence)


class RunWriter:
    """Writes into one run. Any number of threads may share it.

    attach() -> (buffer, handle): called before the first record and again in a forked
    child, where this becomes another writer of the same run.
    waits: the server may not know the run yet; its records wait in the spool until it does.
    """

    def __init__(
        self,
        run_id: str,
        rank: int | None,
        attach: Callable[[], tuple[Buffer, int]],
        *,
        waits: bool = False,
    ) -> None:
        self.run_id = run_id
        self.rank = rank
        self._waits = waits
        # Set by the buffer's thread, which alone numbers frames and texts.
        self.next_sequence = 1
        self._attach = attach
        self._columns: dict[tuple[str, ...] | str, Columns] = {}
        self._create: run_pb2.CreateRunRequest | None = None
        self.ended = False
        self._begin()

    def _begin(self) -> None:
        self.writer = f"{os.getpid()}-{secrets.token_hex(6)}"
        self.next_sequence = 1
        self._next_control = 1
        self._lock = threading.RLock()
        self._buffer, self.handle = self._attach()
        opened = ingest_pb2.OpenRun(
            handle=self.handle, run_id=self.run_id, writer=self.writer, next_sequence=1
        )
        if self.rank is not None:
            opened.rank = self.rank
        body = ingest_pb2.IngestRequest(open_run=opened).SerializeToString()
        self.definition = Definition(Kind.RUN, self.handle, NO_KEY_SET, body, self._waits)
        self._texts = Texts(self)
        self._stale = False

    def forked(self) -> None:
        """In a forked child: begin anew at the next record."""
        self._columns = {}
        self._stale = True
        self._lock = threading.RLock()

    @property
    def active(self) -> bool:
        """Whether this process writes into the run; a forked child does from its first record on."""
        return not (self._stale or self.ended)

    # ---- metrics ----

    def log_metrics(self, metrics: Mapping[str, Any], step: int, time_us: int | None = None) -> None:
        """One row. time_us: microseconds since the epoch, now if None."""
        columns = self._columns.get(tuple(metrics))
        if columns is None:
            if not metrics:
                return
            columns = self._learn(tuple(metrics), tuple(metrics))
        try:
            row = columns.pack(step, time_ns() // 1000 if time_us is None else time_us, *metrics.values())
        except struct.error:
            raise row_fault(columns.key_set.keys, step, time_us or 0, tuple(metrics.values())) from None
        buffer = self._buffer
        buffer.rows.append((columns, row))
        buffer.held += columns.row_bytes
        if buffer.held >= buffer.crowded_at:
            buffer.crowded()

    def log_metric(self, key: str, value: Any, step: int, time_us: int | None = None) -> None:
        """A row of one key."""
        columns = self._columns.get(key)
        if columns is None:
            columns = self._learn(key, (key,))
        try:
            row = columns.pack(step, time_ns() // 1000 if time_us is None else time_us, value)
        except struct.error:
            raise row_fault((key,), step, time_us or 0, (value,)) from None
        buffer = self._buffer
        buffer.rows.append((columns, row))
        buffer.held += columns.row_bytes
        if buffer.held >= buffer.crowded_at:
            buffer.crowded()

    def _learn(self, name: tuple[str, ...] | str, keys: tuple[str, ...]) -> Columns:
        """First use of a key set by this writer."""
        self._ensure_begun()
        columns = Columns(self, key_set_of(keys))
        if len(self._columns) >= _REMEMBERED:
            self._columns = {}
        self._columns[name] = columns
        return columns

    # ---- text ----

    def log_lines(self, stream: str, times_us: Sequence[int], lines: Sequence[str]) -> bool:
        """Lines of a text stream with their times; False, and none is logged, when there is no room now."""
        self._ensure_begun()
        bodies = list(text_bodies(stream, times_us, lines))
        return self._buffer.append_texts(self._texts, bodies)

    # ---- control records ----

    def create(self, request: run_pb2.CreateRunRequest) -> None:
        """Create the run. `request` gets its origin here."""
        with self._lock:
            request.origin.CopyFrom(self._origin())
            self._create = request
            self._append(ingest_pb2.IngestRequest(create_run=request))

    def update(self, status: run_pb2.RunStatus | None = None, end_ms: int | None = None) -> None:
        """Change status or end time."""
        with self._lock:
            request = run_pb2.UpdateRunRequest(run_id=self.run_id, origin=self._origin())
            if status is not None:
                request.status = status
            if end_ms is not None:
                request.end_ms = end_ms
            self._append(ingest_pb2.IngestRequest(update_run=request))

    def log_params(self, params: Sequence[read_pb2.Param]) -> None:
        """Add write-once params."""
        with self._lock:
            request = run_pb2.LogParamsRequest(run_id=self.run_id, params=params, origin=self._origin())
            self._append(ingest_pb2.IngestRequest(log_params=request))

    def set_tags(self, tags: Sequence[read_pb2.Tag]) -> None:
        """Set tags; the last value of a key wins."""
        with self._lock:
            request = run_pb2.SetTagsRequest(run_id=self.run_id, tags=tags, origin=self._origin())
            self._append(ingest_pb2.IngestRequest(set_tags=request))

    def delete_tags(self, keys: Sequence[str]) -> None:
        """Delete tags."""
        with self._lock:
            request = run_pb2.DeleteTagsRequest(run_id=self.run_id, keys=keys, origin=self._origin())
            self._append(ingest_pb2.IngestRequest(delete_tags=request))

    def log_inputs(
        self, datasets: Sequence[dataset_pb2.DatasetInput], models: Sequence[run_pb2.ModelInput]
    ) -> None:
        """Add what the run read."""
        with self._lock:
            request = run_pb2.LogInputsRequest(
                run_id=self.run_id, datasets=datasets, models=models, origin=self._origin()
            )
            self._append(ingest_pb2.IngestRequest(log_inputs=request))

    def log_outputs(self, models: Sequence[run_pb2.ModelOutput]) -> None:
        """Add models that the run made."""
        with self._lock:
            request = run_pb2.LogOutputsRequest(run_id=self.run_id, models=models, origin=self._origin())
            self._append(ingest_pb2.IngestRequest(log_outputs=request))

    def _origin(self) -> envelope_pb2.Origin:
        self._ensure_begun()
        origin = envelope_pb2.Origin(writer=self.writer, sequence=self._next_control)
        self._next_control += 1
        return origin

    def _append(self, request: ingest_pb2.IngestRequest) -> None:
        self._buffer.append_control(request.SerializeToString(), self._waits)

    def _ensure_begun(self) -> None:
        with self._lock:
            if not self._stale:
                return
            self._begin()
            if self._create is not None:
                # The parent may not have delivered it yet. It carries the creator's origin,
                # so whichever copy comes first creates the run and the other changes nothing.
                self._append(ingest_pb2.IngestRequest(create_run=self._create))


def int_step(step: Any) -> int:
    """Step of a log call: None is 0."""
    if step is None:
        return 0
    try:
        return int(step.__index__())
    except AttributeError:
        raise Invalid(f"step must be an integer, got {step!r:.80}", field="step") from None
