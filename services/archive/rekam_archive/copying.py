"""One stream into segments: the next one, when it is due.

Nothing is remembered that a restart would miss: what is archived is what the listing shows, and
the next segment begins behind it. A segment is stored whole or not at all, and only if it is
not there: whoever else archives the same stream stores the same one.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing

import structlog

from rekam_archive import telemetry
from rekam_archive.cutting import CutRules, pending_bytes
from rekam_archive.key_sets import KeySets, SegmentKeySets
from rekam_runtime.archive.names import Catalogue, SegmentName, StoredSegment, sha256_of
from rekam_runtime.archive.segment import SegmentWriter
from rekam_runtime.blobs.port import BlobStore
from rekam_runtime.errors import AlreadyExists
from rekam_runtime.eventlog.port import Dropped, EventLog, Extent, Record


class StreamCopier:
    """Archives one log of a stream; another log (see `Extent.log_id`) has another one."""

    def __init__(self, log: EventLog, store: BlobStore, stream: str, extent: Extent, rules: CutRules) -> None:
        self.catalogue = Catalogue(store, stream, extent.log_id)
        self.archived = extent.origin
        self.log_id = extent.log_id
        self._events = log
        self._store = store
        self._stream = stream
        self._rules = rules
        self._key_sets = KeySets(store)
        # The first record that is not archived, and the last position at which a look was in vain.
        self._oldest: Record | None = None
        self._not_before = 0
        self._log = structlog.get_logger(__name__).bind(stream=stream)

    async def start(self) -> None:
        """Find out how far the archive is."""
        await self._catch_up(await self._events.extent(self._stream))

    async def copy_next(self, extent: Extent) -> bool:
        """Store the next segment if it is due; whether it was."""
        try:
            if extent.lacks(self.archived):  # whoever dropped that has archived it
                await self._catch_up(extent)
            if not await self._is_due(extent):
                return False
            await self._catch_up(extent)  # somebody else may have been faster
            return not await self._is_due(extent) or await self._copy(extent)
        except Dropped:
            return True  # while it was read: look again

    async def _catch_up(self, extent: Extent) -> None:
        await self.catalogue.refresh()
        self.archived = self.catalogue.reach(self.archived)
        if missing := extent.lacks(self.archived):
            self._log.error("archive.hole", first=self.archived + 1, last=missing)
            self.archived = self.catalogue.reach(missing)

    async def _is_due(self, extent: Extent) -> bool:
        pending = max(0, extent.last - self.archived)
        telemetry.POSITION.labels(self._stream).set(self.archived)
        telemetry.LAG_RECORDS.labels(self._stream).set(pending)
        oldest = await self._first_pending() if pending else None
        age_s = time.time() - oldest.time_us / 1_000_000 if oldest else 0.0
        telemetry.LAG_SECONDS.labels(self._stream).set(max(0.0, age_s))
        if oldest is None:
            return False
        if age_s >= self._rules.max_age_s:
            return True
        return (
            extent.last >= self._not_before and pending_bytes(extent, self.archived) >= self._rules.max_bytes
        )

    async def _first_pending(self) -> Record | None:
        if self._oldest is None or self._oldest.position <= self.archived:
            self._oldest = None
            async with aclosing(self._events.scan(self._stream, self.archived)) as records:
                async for record in records:
                    # Without its bytes: it is kept until it is archived.
                    self._oldest = Record(record.position, record.subject, b"", record.time_us)
                    break
        return self._oldest

    async def _copy(self, extent: Extent) -> bool:
        started = time.perf_counter()
        writer = SegmentWriter(self._stream, self.log_id, self.archived)
        key_sets = SegmentKeySets(self._key_sets)
        if not await self._fill(writer, key_sets):
            # Fewer bytes than thought. A look costs as much as a segment: not before there are more.
            missing = self._rules.max_bytes - writer.raw_bytes - key_sets.size
            self._not_before = extent.last + 1 + missing * writer.records // max(1, writer.raw_bytes)
            return False
        data = await asyncio.to_thread(writer.finish, await key_sets.context(self.catalogue))
        sha256 = await asyncio.to_thread(sha256_of, data)
        name = SegmentName(self._stream, self.log_id, writer.first, writer.last, sha256)
        try:
            await self._store.put(name.key, data)
        except AlreadyExists:
            pass  # the same bytes, for the name says which
        self.catalogue.add(StoredSegment(name, len(data)))
        self.archived = self.catalogue.reach(self.archived)
        telemetry.SEGMENTS.labels(self._stream).inc()
        telemetry.RAW_BYTES.labels(self._stream).inc(writer.raw_bytes)
        telemetry.STORED_BYTES.labels(self._stream).inc(len(data))
        self._log.info(
            "archive.stored",
            segment=name.key,
            records=writer.records,
            raw_bytes=writer.raw_bytes,
            bytes=len(data),
            seconds=round(time.perf_counter() - started, 3),
        )
        return True

    async def _fill(self, writer: SegmentWriter, key_sets: SegmentKeySets) -> bool:
        """Put the segment's records into it; whether it is one, or waits for more of them."""
        async with aclosing(self._events.scan(self._stream, self.archived)) as records:
            async for record in records:
                if writer.records and self._rules.ends_before(record.time_us, writer.first_time_us):
                    return True
                if writer.records and record.position != writer.last + 1:
                    # Not dropped, or the log had refused: it lost them, or somebody deleted them.
                    self._log.warning("archive.gap", first=writer.last + 1, last=record.position - 1)
                writer.add(record)
                key_sets.add(record)
                if writer.block_is_full:
                    await asyncio.to_thread(writer.close_block)
                if writer.raw_bytes + key_sets.size >= self._rules.max_bytes:
                    return True
        return bool(writer.records) and self._rules.ends_before(time.time_ns() // 1000, writer.first_time_us)
