"""One stream of the log into the generation that is being built, as fast as it can be read.

While a batch is being written the next one is read and prepared. Position, rows and counts are
one transaction, as they are in the live projection: whoever takes over goes on from there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from rekam_runtime.errors import Retry
from rekam_runtime.eventlog.port import EventLog, Follower, Record
from rekam_runtime.postgres import Connection, Pool
from rekam_runtime.projection.applying import BatchWriter
from rekam_runtime.projection.part import Part, Write
from rekam_runtime.rebuild.requests import statements

BATCH_BYTES = 32 * 1024 * 1024
BATCH_RECORDS = 50_000
_WAIT_S = 1.0


@dataclass(frozen=True, slots=True)
class _Batch:
    """write: what was prepared; None: preparing failed, a record is at fault."""

    records: list[Record]
    write: Write | None


class StreamRebuild:
    """Applies a stream up to a position, again and again."""

    def __init__(
        self,
        log: EventLog,
        pool: Pool,
        service: str,
        stream: str,
        part: Part,
        *,
        generation: int,
        rebuild: int,
    ) -> None:
        self.stream = stream
        self.position = 0
        self._log = log
        self._pool = pool
        self._consumer = f"{service}_rebuild"
        self._part = part
        self._rebuild = rebuild
        self._writer = BatchWriter(log, pool, stream, service, self._apply, part.forget, generation)
        self._follower: Follower | None = None
        # Read past what was asked for.
        self._read: list[Record] = []
        self._batch = _Batch([], None)
        self._last = 0

    async def start(self, connection: Connection) -> None:
        """Go on from where the tables are."""
        self.position = await self._writer.position()
        await connection.execute(statements.begin_stream, self._rebuild, self.stream, self.position)
        self._follower = await self._log.follow(self.stream, self._consumer, self.position)

    async def close(self) -> None:
        if self._follower is not None:
            await self._follower.close()

    async def advance(self, target: int) -> None:
        """Apply what lies up to the target, which is not past the log's end."""
        ahead: asyncio.Task[_Batch] | None = None
        try:
            while self.position < target:
                batch = await (ahead or self._next(target))
                ahead = None
                last = batch.records[-1].position if batch.records else target
                if last < target:
                    ahead = asyncio.create_task(self._next(target))
                await self._commit(batch, last)
        finally:
            if ahead is not None:
                ahead.cancel()
                await asyncio.wait([ahead])

    async def _next(self, target: int) -> _Batch:
        """The next records up to the target, prepared; none when there are none up to there."""
        assert self._follower is not None
        records: list[Record] = []
        size = 0
        while size < BATCH_BYTES and len(records) < BATCH_RECORDS:
            found = self._read or await self._follower.fetch(BATCH_RECORDS, BATCH_BYTES - size, _WAIT_S)
            self._read = []
            if not found and (await self._log.extent(self.stream)).origin >= target:
                break  # what was there was purged
            inside = [record for record in found if record.position <= target]
            records += inside
            size += sum(len(record.data) for record in inside)
            if len(inside) < len(found):
                self._read = found[len(inside) :]
                break
            if records and records[-1].position >= target:
                break
        return _Batch(records, await self._prepare(records))

    async def _prepare(self, records: Sequence[Record]) -> Write | None:
        # In a thread: the next batch is read while this one goes to Postgres.
        try:
            return await asyncio.to_thread(self._part.prepare, records)
        except Retry:
            raise
        except Exception:  # noqa: BLE001  # which record it is shows when the batch is applied
            return None

    async def _commit(self, batch: _Batch, last: int) -> None:
        self._batch, self._last = batch, last
        await self._writer.commit(self.position, batch.records, last)
        self.position = last

    async def _apply(self, connection: Connection, records: Sequence[Record], /) -> None:
        """A batch, or a part of it when one of its records is at fault; an operator's decisions hold."""
        wanted, write = records, self._batch.write
        if records is not self._batch.records:
            write = None
        if records:
            span = (records[0].position - 1, records[-1].position)
            rows = await connection.fetch(statements.dropped, self.stream, *span)
            if dropped := {row["position"] for row in rows}:
                wanted, write = [record for record in records if record.position not in dropped], None
        if write is None:
            write = self._part.prepare(wanted)
        points = await write(connection)
        size = sum(len(record.data) for record in records)
        await connection.execute(
            statements.count, self._rebuild, self.stream, self._last, len(records), points, size
        )
