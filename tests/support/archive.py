"""Logs with an archive, for tests: what a stream has put into segments, and dropped from it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence

from rekam_runtime.archive import ArchivedLog
from rekam_runtime.archive.names import Catalogue, SegmentName, sha256_of
from rekam_runtime.archive.segment import SegmentWriter
from rekam_runtime.blobs.port import BlobStore
from rekam_runtime.eventlog.port import EventLog, Follower, Record


def segment(
    records: Sequence[Record], *, stream: str = "S", log_id: str = "log-0", after: int | None = None
) -> tuple[SegmentName, bytes]:
    """A segment of the records, and its name."""
    writer = SegmentWriter(stream, log_id, records[0].position - 1 if after is None else after)
    for record in records:
        writer.add(record)
        if writer.block_is_full:
            writer.close_block()
    data = writer.finish()
    return SegmentName(stream, log_id, writer.first, writer.last, sha256_of(data)), data


async def archive(
    log: EventLog, store: BlobStore, stream: str, *, up_to: int, segment_records: int = 7
) -> None:
    """Put what the stream has up to a position into segments, behind those that are there."""
    extent = await log.extent(stream)
    catalogue = Catalogue(store, stream, extent.log_id)
    await catalogue.refresh()
    after = catalogue.reach(extent.origin)
    records = [record async for record in log.scan(stream, after) if record.position <= up_to]
    for start in range(0, len(records), segment_records):
        part = records[start : start + segment_records]
        name, data = segment(part, stream=stream, log_id=extent.log_id, after=after)
        await store.put(name.key, data)
        after = name.last


class AgedLog(ArchivedLog):
    """A log of which all but the newest record is in the archive only, whenever it is read."""

    def __init__(self, log: EventLog, store: BlobStore) -> None:
        super().__init__(log, store)
        self._aging = log, store
        self._one_at_a_time = asyncio.Lock()

    async def _age(self, stream: str) -> None:
        log, store = self._aging
        async with self._one_at_a_time:
            last = await log.last_position(stream)
            await archive(log, store, stream, up_to=last - 1)
            await log.drop(stream, last - 1)

    async def read(self, stream: str, subject: str, after: int = 0) -> list[Record]:
        await self._age(stream)
        return await super().read(stream, subject, after)

    async def scan(self, stream: str, after: int = 0) -> AsyncGenerator[Record, None]:
        await self._age(stream)
        async for record in super().scan(stream, after):
            yield record

    async def follow(self, stream: str, consumer: str, after: int) -> Follower:
        await self._age(stream)
        return await super().follow(stream, consumer, after)
