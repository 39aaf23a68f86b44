"""Following a log from the archive on, into the stream's own records."""

from __future__ import annotations

import asyncio
from collections import deque

from rekam_runtime.archive.reading import ArchiveReader
from rekam_runtime.blobs.port import BlobStore
from rekam_runtime.eventlog.port import Dropped, EventLog, Follower, Record


class ArchivedFollower:
    """Reads the archive as far as records were dropped, then follows the stream.

    One so slow that records are dropped before it came to them goes back to the archive.
    """

    def __init__(self, log: EventLog, store: BlobStore, stream: str, consumer: str, after: int) -> None:
        self._log = log
        self._store = store
        self._stream = stream
        self._consumer = consumer
        self._after = after
        self._part: _ArchivedPart | None = None
        self._tail: Follower | None = None

    async def start(self) -> None:
        """Find where the next record is; may be called again after a failure."""
        try:
            self._tail = await self._log.follow(self._stream, self._consumer, self._after)
        except Dropped:
            extent = await self._log.extent(self._stream)
            reader = ArchiveReader(self._store, self._stream, extent.log_id)
            self._part = _ArchivedPart(reader, max(self._after, extent.origin), extent.first - 1)

    async def fetch(self, max_records: int, max_bytes: int, wait_s: float) -> list[Record]:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait_s
        while True:
            follower = self._part or self._tail
            if follower is None:
                await self.start()
                continue
            try:
                records = await follower.fetch(max_records, max_bytes, max(0.0, deadline - loop.time()))
            except Dropped:
                await self.close()
                continue
            if records:
                self._after = records[-1].position
                return records
            if self._part is None or not self._part.ended:
                return []
            self._after = max(self._after, self._part.up_to)
            await self.close()

    async def acknowledge(self, position: int) -> None:
        if self._tail is not None:
            await self._tail.acknowledge(position)

    async def close(self) -> None:
        part, tail = self._part, self._tail
        self._part = self._tail = None
        if part is not None:
            await part.close()
        if tail is not None:
            await tail.close()


class _ArchivedPart:
    """Records from the archive, read ahead while those before are worked on."""

    def __init__(self, reader: ArchiveReader, after: int, up_to: int) -> None:
        self.up_to = up_to
        self._reader = reader
        self._read_to = after
        self._buffer: deque[Record] = deque()
        self._reading: asyncio.Task[list[Record]] | None = None

    @property
    def ended(self) -> bool:
        return not self._buffer and self._read_to >= self.up_to

    async def fetch(self, max_records: int, max_bytes: int, wait_s: float) -> list[Record]:
        if not self._buffer and not self.ended:
            await self._read(wait_s)
        records: list[Record] = []
        size = 0
        while self._buffer and len(records) < max_records:
            size += len(self._buffer[0].data)
            if records and size > max_bytes:
                break
            records.append(self._buffer.popleft())
        return records

    async def close(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)

    async def _read(self, wait_s: float) -> None:
        """Put what was read into the buffer, if it is there within wait_s, and go on reading."""
        reading = self._reading = self._reading or self._next()
        await asyncio.wait([reading], timeout=wait_s)
        if not reading.done():
            return
        self._reading = None
        records = reading.result()
        self._buffer.extend(records)
        # None up to there: the stream lacked them when it was archived.
        self._read_to = records[-1].position if records else self.up_to
        if self._read_to < self.up_to:
            self._reading = self._next()

    def _next(self) -> asyncio.Task[list[Record]]:
        return asyncio.create_task(self._reader.next(self._read_to, self.up_to))
