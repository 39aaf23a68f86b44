"""An event log that is whole: what was dropped from a stream is read from the archive."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager

from rekam_runtime.archive.following import ArchivedFollower
from rekam_runtime.archive.reading import ArchiveReader
from rekam_runtime.blobs.port import BlobStore
from rekam_runtime.eventlog.port import Draft, Dropped, EventLog, Extent, Follower, Record, StreamSpec, covers


class ArchivedLog:
    """`EventLog` of a log and its archive.

    `scan`, `read` and `follow` give archive and stream as one, in order, none missing: where a
    record is in neither they raise FailedPrecondition with the positions, where a segment is not
    what was written `Damaged` with its name, and Retry while the archive cannot be reached. It
    is only looked at when records were dropped. What was appended and purged is in neither, and
    not missed: the log begins past it.
    """

    def __init__(self, log: EventLog, store: BlobStore) -> None:
        self._log = log
        self._store = store

    async def ensure(self, spec: StreamSpec) -> None:
        await self._log.ensure(spec)

    async def append(self, draft: Draft) -> int:
        return await self._log.append(draft)

    async def append_batch(self, drafts: Sequence[Draft]) -> list[int]:
        return await self._log.append_batch(drafts)

    async def read(self, stream: str, subject: str, after: int = 0) -> list[Record]:
        records: list[Record] = []
        while dropped := (extent := await self._log.extent(stream)).lacks(after):
            # First the archive's part; more may have been dropped while it was read.
            reader = ArchiveReader(self._store, stream, extent.log_id)
            start = max(after, extent.origin)
            records += [
                record async for record in reader.between(start, dropped) if covers(subject, record.subject)
            ]
            after = dropped
        kept = await self._log.read(stream, subject, after)
        if (await self._log.extent(stream)).lacks(after):
            return records + await self.read(stream, subject, after)
        return records + kept

    async def scan(self, stream: str, after: int = 0) -> AsyncGenerator[Record, None]:
        last = await self._log.last_position(stream)
        while after < last:
            try:
                async for record in self._log.scan(stream, after):
                    if record.position > last:
                        return
                    after = record.position
                    yield record
                return
            except Dropped:
                extent = await self._log.extent(stream)
            dropped = min(last, extent.lacks(after))
            reader = ArchiveReader(self._store, stream, extent.log_id)
            async for record in reader.between(max(after, extent.origin), dropped):
                yield record
            after = max(after, dropped)

    async def last_position(self, stream: str) -> int:
        return await self._log.last_position(stream)

    async def follow(self, stream: str, consumer: str, after: int) -> Follower:
        follower = ArchivedFollower(self._log, self._store, stream, consumer, after)
        await follower.start()
        return follower

    async def extent(self, stream: str) -> Extent:
        return await self._log.extent(stream)

    async def streams(self) -> list[str]:
        return await self._log.streams()

    async def drop(self, stream: str, up_to: int) -> None:
        await self._log.drop(stream, up_to)

    async def purge(self, stream: str) -> int:
        return await self._log.purge(stream)

    async def publish_signal(self, name: str, data: bytes) -> None:
        await self._log.publish_signal(name, data)

    def signals(self, name: str) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        return self._log.signals(name)

    async def close(self) -> None:
        """Close both."""
        await self._log.close()
        await self._store.close()
