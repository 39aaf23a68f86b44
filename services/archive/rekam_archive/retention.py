"""Which points may go from the log: those that are in the archive, read back from it, and old."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

import structlog

from rekam_archive import telemetry
from rekam_archive.copying import StreamCopier
from rekam_runtime.archive.names import StoredSegment, sha256_of
from rekam_runtime.archive.reading import load_index
from rekam_runtime.archive.segment import Damaged, check_whole
from rekam_runtime.blobs.port import BlobStore
from rekam_runtime.errors import NotFound
from rekam_runtime.eventlog.port import EventLog, Extent

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class RetentionRules:
    """Points go when they are older, or while their stream is larger."""

    kept_s: float
    kept_bytes: int


class Retention:
    """Drops the oldest segment's records from a points stream, again and again."""

    def __init__(self, log: EventLog, store: BlobStore, rules: RetentionRules) -> None:
        self._events = log
        self._store = store
        self._rules = rules
        # Of each stream's oldest segment: its key, and when its newest record was stored.
        self._newest_us: dict[str, tuple[str, int]] = {}
        # Damaged, and their records are gone: nothing behind them goes until a person has seen to it.
        self._lost: set[str] = set()

    async def apply(self, stream: str, copier: StreamCopier) -> bool:
        """Drop what may go; False when the archive lacks what it should have: look at it anew."""
        while True:
            extent = await self._events.extent(stream)
            # Nothing but a segment's records is dropped, and only those: no segment, no drop.
            segment = copier.catalogue.covering(extent.first)
            if segment is None or segment.name.last > extent.last or extent.log_id != copier.log_id:
                return True
            if segment.name.key in self._lost:
                return True
            try:
                if not await self._may_go(segment, extent):
                    return True
                await self._read_back(segment)
            except (Damaged, NotFound) as error:
                return not await self._replace(segment, extent, error)
            await self._events.drop(stream, segment.name.last)
            telemetry.DROPPED.labels(stream).set(segment.name.last)
            _log.info("archive.dropped", stream=stream, up_to=segment.name.last)

    async def _may_go(self, segment: StoredSegment, extent: Extent) -> bool:
        if extent.bytes > self._rules.kept_bytes:
            return True
        stream, key = segment.name.stream, segment.name.key
        if self._newest_us.get(stream, ("", 0))[0] != key:
            self._newest_us[stream] = key, (await load_index(self._store, segment)).last_time_us
        return self._newest_us[stream][1] / 1_000_000 < time.time() - self._rules.kept_s

    async def _read_back(self, segment: StoredSegment) -> None:
        """Read the segment as it is stored now; Damaged when it is not what was written."""
        key = segment.name.key
        data = await self._store.get(key)
        if await asyncio.to_thread(sha256_of, data) != segment.name.sha256:
            raise Damaged(f"segment {key} is damaged: its SHA-256 is not that of its name")
        await asyncio.to_thread(check_whole, key, data)

    async def _replace(self, segment: StoredSegment, extent: Extent, error: Damaged | NotFound) -> bool:
        """Have a segment stored again, if the stream still has all its records."""
        key = segment.name.key
        telemetry.DAMAGED.labels(segment.name.stream).inc()
        again = segment.name.first >= extent.first
        _log.error("archive.damaged", segment=key, error=error.message, stored_again=again)
        if again:
            await self._store.delete(key)
        else:
            self._lost.add(key)
        return again
