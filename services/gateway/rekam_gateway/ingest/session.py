"""One client's ingest stream: what it has opened, what is on its way, what is answered."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass

from google.protobuf.message import DecodeError

from rekam_gateway import telemetry
from rekam_gateway.ingest import rules
from rekam_gateway.ingest.key_sets import KeySet, KeySets
from rekam_gateway.ingest.publisher import ShardPublisher, serialized
from rekam_gateway.ingest.runs import Runs
from rekam_gateway.ingest.tracking import TrackingClient
from rekam_proto.ingest.v1 import ingest_pb2, points_pb2, views_pb2
from rekam_runtime.budget import ByteBudget
from rekam_runtime.errors import FailedPrecondition, Invalid, NotFound, Refused, Retry, SlowDown
from rekam_runtime.eventlog.shards import shard_of
from rekam_runtime.rpc.status import code_of

# Bytes one stream may have on their way to the log; more waits in the client.
WINDOW_BYTES = 8 * 1024 * 1024
WINDOW_RECORDS = 4_096
MAX_KEY_SETS = 65_536
MAX_KEY_SET_BYTES = 64 * 1024 * 1024
# Of a run's heartbeats at most one in this time goes to the log.
HEARTBEAT_SECONDS = 1.0


@dataclass(slots=True)
class _Run:
    """An opened run."""

    run_id: bytes
    shard: int
    writer: str
    rank: int | None
    next_sequence: int
    heartbeat: asyncio.Future[None] | None = None  # the last one, on its way or stored
    heartbeat_at: float = 0.0


@dataclass(slots=True)
class _Pending:
    """A request that is not answered yet, in the order of arrival."""

    id: int
    received: int  # bytes of it
    stored: asyncio.Future[None] | None = None
    refusal: ingest_pb2.Refusal | None = None
    size: int = 0


class Session:
    """Reads requests, hands their points to the publishers, yields the answers.

    Memory: at most WINDOW_BYTES of points here (and `budget` over all sessions), at most
    WINDOW_RECORDS answers outstanding; then it stops reading and the client waits.
    """

    def __init__(
        self,
        tracking: TrackingClient,
        runs: Runs,
        publishers: list[ShardPublisher],
        budget: ByteBudget,
        key_sets: KeySets,
    ) -> None:
        self._tracking = tracking
        self._active_runs = runs
        self._publishers = publishers
        self._budget = budget
        self._window = ByteBudget(WINDOW_BYTES)
        self._records = asyncio.Semaphore(WINDOW_RECORDS)
        self._runs: dict[int, _Run | Refused] = {}  # by handle; or why it was not opened
        self._shared_key_sets = key_sets
        self._key_sets: dict[bytes, KeySet] = {}  # sent on this stream
        self._key_set_bytes = 0
        self._pending: deque[_Pending] = deque()
        self._arrived = asyncio.Event()
        self._last_id = 0
        self._ended: Exception | None = None  # why no more is read; None while reading
        self._reader: asyncio.Task[None] | None = None
        self.closed = asyncio.Event()  # set by whoever runs the session, when it is over

    async def answers(self, requests: AsyncIterable[bytes]) -> AsyncIterator[ingest_pb2.IngestResponse]:
        """Answers to serialized IngestRequests, until the client ends or the stream breaks.

        Raises Invalid for a request that cannot be read and Retry when the log or the
        tracking service cannot be reached; everything answered before holds.
        """
        self._reader = asyncio.create_task(self._read(requests))
        # However it ends, also when it is cancelled before it began.
        self._reader.add_done_callback(lambda _: self._arrived.set())
        try:
            while True:
                while self._pending:
                    async for answer in self._answer_ready():
                        yield answer
                if self._reader.done() and not self._pending:
                    break
                await self._arrived.wait()
                self._arrived.clear()
            if self._ended is not None:
                raise self._ended
        finally:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)
            for pending in self._pending:
                self._settle(pending)
                if pending.stored is not None:
                    pending.stored.cancel()

    def end(self, reason: Exception) -> None:
        """Read no more; what was read is still answered, then the stream ends with reason."""
        self._ended = self._ended or reason
        if self._reader is not None:
            self._reader.cancel()

    async def _answer_ready(self) -> AsyncIterator[ingest_pb2.IngestResponse]:
        """Wait for the oldest request, then answer it and all that are ready with it."""
        oldest = self._pending[0]
        if oldest.stored is not None:
            await oldest.stored
        acknowledged = 0
        while self._pending:
            pending = self._pending[0]
            if pending.stored is not None:
                if not pending.stored.done():
                    break
                pending.stored.result()
            self._pending.popleft()
            self._settle(pending)
            acknowledged = pending.id
            if pending.refusal is not None:
                yield ingest_pb2.IngestResponse(refusal=pending.refusal)
        if acknowledged:
            yield ingest_pb2.IngestResponse(ack=ingest_pb2.Ack(id=acknowledged))

    def _settle(self, pending: _Pending) -> None:
        self._records.release()
        if pending.size:
            self._window.release(pending.size)
            self._budget.release(pending.size)

    async def _read(self, requests: AsyncIterable[bytes]) -> None:
        try:
            async for data in requests:
                await self._take(data)
                self._arrived.set()
        except (Invalid, Retry) as error:
            self._ended = self._ended or error

    async def _take(self, data: bytes) -> None:
        await self._records.acquire()
        pending: _Pending | None = None
        try:
            request = self._parse(data)
            if request.id == 0:
                self._heartbeat(request.heartbeat)
                return
            pending = _Pending(request.id, len(data))
            await self._handle(request, pending)
        except Refused as error:
            if pending is None:
                raise
            code = code_of(error).value[0]
            telemetry.refused.labels(code=code_of(error).name).inc()
            pending.refusal = ingest_pb2.Refusal(
                id=pending.id, code=code, field=error.field, message=error.message
            )
        finally:
            if pending is None:
                self._records.release()
        self._pending.append(pending)

    def _parse(self, data: bytes) -> views_pb2.IngestRequestView:
        try:
            request = views_pb2.IngestRequestView.FromString(data)
        except DecodeError:
            raise Invalid("the request is not an IngestRequest") from None
        if request.id == 0 and request.WhichOneof("body") == "heartbeat":
            return request
        if request.id <= self._last_id:
            raise Invalid(f"ids increase: {request.id} came after {self._last_id}", field="id")
        self._last_id = request.id
        return request

    async def _handle(self, request: views_pb2.IngestRequestView, pending: _Pending) -> None:
        match request.WhichOneof("body"):
            case "frame":
                await self._frame(request, pending)
            case "text":
                await self._text(request, pending)
            case "key_set":
                self._key_set(request.key_set)
            case "open_run":
                await self._open_run(request.open_run)
            case "heartbeat":
                raise Invalid("a heartbeat has id 0", field="id")
            case None:
                raise Invalid("the request has no body", field="body")
            case control:
                await self._tracking.apply(request, control)

    async def _open_run(self, open_run: ingest_pb2.OpenRun) -> None:
        rules.check_handle(open_run.handle)
        try:
            self._runs[open_run.handle] = await self._opened(open_run)
        except Refused as refused:
            # What comes behind is meant for this run, not for one that the handle named before.
            self._runs[open_run.handle] = refused
            raise

    async def _opened(self, open_run: ingest_pb2.OpenRun) -> _Run:
        rules.check_open_run(open_run)
        run_id = bytes.fromhex(open_run.run_id)
        await self._active_runs.require_active(open_run.run_id, "open_run.run_id")
        return _Run(
            run_id=run_id,
            shard=shard_of(run_id, len(self._publishers)),
            writer=open_run.writer,
            rank=open_run.rank if open_run.HasField("rank") else None,
            next_sequence=open_run.next_sequence,
        )

    def _key_set(self, key_set: ingest_pb2.KeySet) -> None:
        admitted = self._shared_key_sets.admit(key_set)
        if admitted.hash in self._key_sets:
            return
        self._key_set_bytes += len(admitted.record)
        if len(self._key_sets) >= MAX_KEY_SETS or self._key_set_bytes > MAX_KEY_SET_BYTES:
            raise SlowDown(
                f"a stream takes {MAX_KEY_SETS} key sets of {MAX_KEY_SET_BYTES} bytes together: "
                "connect again to go on"
            )
        self._key_sets[admitted.hash] = admitted

    async def _frame(self, request: views_pb2.IngestRequestView, pending: _Pending) -> None:
        frame = request.frame
        run = self._run(frame.run, "frame.run")
        self._check_sequence(run, frame.sequence, "frame.sequence")
        rules.check_encoding(request, frame, pending.received)
        key_set = self._key_sets.get(frame.key_set)
        if key_set is None:
            raise NotFound(
                f"key set {frame.key_set.hex()} was not sent on this stream", field="frame.key_set"
            )
        # Each access of a view copies: once is enough.
        steps, times_us, values = frame.steps, frame.times_us, frame.values
        size = frame.ByteSize()
        rows = rules.check_frame(steps, times_us, values, key_set.columns, size)
        await self._hold(size, pending)
        publisher = self._publishers[run.shard]
        publisher.announce(key_set.hash, key_set.record)
        stored = views_pb2.StoredFrameView(
            run_id=run.run_id,
            sequence=frame.sequence,
            key_set=frame.key_set,
            steps=steps,
            times_us=times_us,
            values=values,
            writer=run.writer,
            rank=run.rank,
        )
        pending.stored = publisher.put(serialized(views_pb2.PointRecordView(frame=stored)))
        telemetry.frames.inc()
        telemetry.points.inc(rows * key_set.columns)

    async def _text(self, request: views_pb2.IngestRequestView, pending: _Pending) -> None:
        text = request.text
        run = self._run(text.run, "text.run")
        self._check_sequence(run, text.sequence, "text.sequence")
        rules.check_encoding(request, text, pending.received)
        times_us, lines, size = text.times_us, text.lines, text.ByteSize()
        rules.check_text(text.stream, times_us, lines, size)
        await self._hold(size, pending)
        stored = views_pb2.StoredTextView(
            run_id=run.run_id,
            sequence=text.sequence,
            stream=text.stream,
            times_us=times_us,
            lines=lines,
            writer=run.writer,
            rank=run.rank,
        )
        record = serialized(views_pb2.PointRecordView(text=stored))
        pending.stored = self._publishers[run.shard].put(record)
        telemetry.lines.inc(len(lines))

    def _heartbeat(self, heartbeat: ingest_pb2.Heartbeat) -> None:
        """Pass on that a writer is alive; nobody waits for it, so there is at most one on its way."""
        run, now = self._runs.get(heartbeat.run), asyncio.get_running_loop().time()
        if run is None or isinstance(run, Refused) or not rules.is_interval(heartbeat.interval_ms):
            return
        last = run.heartbeat
        if last is not None and (not last.done() or now - run.heartbeat_at < HEARTBEAT_SECONDS):
            return
        seen = points_pb2.WriterSeen(
            run_id=run.run_id, interval_ms=heartbeat.interval_ms, writer=run.writer, rank=run.rank
        )
        record = serialized(views_pb2.PointRecordView(seen=seen))
        run.heartbeat, run.heartbeat_at = self._publishers[run.shard].put(record), now
        run.heartbeat.add_done_callback(_seen)
        telemetry.heartbeats.inc()

    def _run(self, handle: int, field: str) -> _Run:
        """The run that is open under a handle."""
        run = self._runs.get(handle)
        if run is None:
            raise Invalid(f"no run is open under handle {handle}", field=field)
        if isinstance(run, Refused):
            raise type(run)(run.message, field=field)
        return run

    async def _hold(self, size: int, pending: _Pending) -> None:
        """Wait for room for so many bytes on their way to the log; held until it is settled."""
        await self._window.acquire(size)
        try:
            await self._budget.acquire(size)
        except asyncio.CancelledError:
            self._window.release(size)
            raise
        pending.size = size

    def _check_sequence(self, run: _Run, sequence: int, field: str) -> None:
        """Sequences come without gaps; a refused frame or text uses up its own."""
        rules.check_sequence(sequence, field)
        if sequence > run.next_sequence:
            raise FailedPrecondition(
                f"sequence {sequence} leaves a gap: {run.next_sequence} comes next; "
                "open the run again with its next_sequence if some are lost",
                field=field,
            )
        if sequence == run.next_sequence:
            run.next_sequence += 1


def _seen(stored: asyncio.Future[None]) -> None:
    """Nobody waits for it: a lost heartbeat is followed by the next."""
    if not stored.cancelled():
        stored.exception()
