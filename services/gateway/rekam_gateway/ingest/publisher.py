"""Group commit: frames of one shard, put together and appended to its stream.

While appends are on their way, what arrives is gathered; the next append takes it all.
So a message grows with the load, and its fsync is shared by everything inside it, with
no timer that a single slow writer would have to wait for.

What many records rely on (a key set) is announced once, in an event of its own, before the
first of them: should another event be set aside, the announcement is not set aside with it.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from contextlib import suppress
from dataclasses import dataclass

import structlog

from rekam_gateway import telemetry
from rekam_proto.ingest.v1 import points_pb2, views_pb2
from rekam_runtime.errors import RekamError, Retry
from rekam_runtime.eventlog.envelope import Cause, draft, wrap
from rekam_runtime.eventlog.port import EventLog

BATCH_BYTES = 512 * 1024
IN_FLIGHT = 4
# Streams have been answered or cut off by then: nobody hears of what comes after.
_CLOSE_S = 1.0
# Announcements that are remembered; one that was forgotten is made again.
ANNOUNCED = 65_536

log = structlog.get_logger(__name__)


def serialized(record: views_pb2.PointRecordView) -> bytes:
    """A record as a PointsAppended of its own: serialized messages, joined, are one message."""
    return views_pb2.PointsAppendedView(records=[record]).SerializeToString()


@dataclass(slots=True)
class _Queued:
    record: bytes
    stored: asyncio.Future[None] | None  # None: nobody waits for it
    announces: bytes = b""  # name of what later records rely on


class ShardPublisher:
    """Appends one shard's records in the order of `put`.

    The caller bounds what is queued (ByteBudget). `task` goes on until it is closed.
    """

    def __init__(self, event_log: EventLog, subject: str) -> None:
        self._log = event_log
        self._subject = subject
        self._queue: deque[_Queued] = deque()
        self._announced: OrderedDict[bytes, None] = OrderedDict()
        self._filled = asyncio.Event()
        self._appends: set[asyncio.Task[None]] = set()
        self.task = asyncio.create_task(self._run(), name=f"publish {subject}")

    def put(self, record: bytes) -> asyncio.Future[None]:
        """Queue a record; the future ends when it is on disk, or with Retry when it may not be.

        record: see `serialized`.
        """
        stored: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append(_Queued(record, stored))
        self._filled.set()
        return stored

    def announce(self, name: bytes, record: bytes) -> None:
        """Queue what records behind it rely on, unless it is in the log or on its way there.

        They fail when it is not stored.
        """
        if name in self._announced:
            self._announced.move_to_end(name)
            return
        self._announced[name] = None
        if len(self._announced) > ANNOUNCED:
            self._announced.popitem(last=False)
        self._queue.append(_Queued(record, None, name))
        self._filled.set()

    def forget(self) -> None:
        """Announce again what is relied on: the log may have been emptied."""
        self._announced.clear()

    async def close(self) -> None:
        """Append what is queued, as far as the log takes it within a second, then stop."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_S):
                while self._queue or self._appends:
                    await (asyncio.wait(self._appends) if self._appends else asyncio.sleep(0))
        for task in (self.task, *self._appends):
            task.cancel()
        await asyncio.gather(self.task, *self._appends, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            await self._filled.wait()
            if len(self._appends) >= IN_FLIGHT:
                await asyncio.wait(self._appends, return_when=asyncio.FIRST_COMPLETED)
            if not self._queue:
                continue  # given up with an append that failed, while this waited for its turn
            batch = self._take()
            append = asyncio.create_task(self._append(batch))
            self._appends.add(append)
            append.add_done_callback(self._appends.discard)
            if batch[0].announces:
                # A frame must not reach the log when the event with its key set did not.
                await asyncio.wait(self._appends)

    def _take(self) -> list[_Queued]:
        batch = [self._queue.popleft()]
        size = len(batch[0].record)
        while self._queue and size + len(self._queue[0].record) <= BATCH_BYTES:
            if bool(self._queue[0].announces) != bool(batch[0].announces):
                break
            batch.append(self._queue.popleft())
            size += len(batch[-1].record)
        if not self._queue:
            self._filled.clear()
        return batch

    async def _append(self, batch: list[_Queued]) -> None:
        envelope = wrap(points_pb2.PointsAppended(), Cause("gateway"), aggregate="")
        envelope.payload = b"".join([queued.record for queued in batch])
        event_draft = draft(self._subject, envelope)
        telemetry.append_bytes.observe(len(event_draft.data))
        failure = "the append was cut off"  # unless it ends in one of the two ways below
        try:
            await self._log.append(event_draft)
            failure = ""
        except RekamError as error:
            failure = error.message
            log.warning("append failed", subject=self._subject, records=len(batch), error=failure)
        finally:
            self._settle(batch, failure)

    def _settle(self, batch: list[_Queued], failure: str) -> None:
        if failure:
            # What is queued may rely on a key set in this batch; its writers send all of it again.
            batch += self._queue
            self._queue.clear()
            self._filled.clear()
        for queued in batch:
            if queued.stored is None:
                if failure:
                    self._announced.pop(queued.announces, None)
            elif queued.stored.cancelled():
                continue
            elif failure:
                queued.stored.set_exception(Retry(f"the log did not take the points: {failure}"))
            else:
                queued.stored.set_result(None)
