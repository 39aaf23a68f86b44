"""The archiver: round after round over all streams, one segment in memory at a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

import structlog

from rekam_archive import telemetry
from rekam_archive.copying import StreamCopier
from rekam_archive.cutting import CutRules
from rekam_archive.retention import Retention
from rekam_runtime.blobs.port import BlobStore
from rekam_runtime.errors import Retry
from rekam_runtime.eventlog.port import EventLog
from rekam_runtime.eventlog.shards import is_points_stream

_PREFIX = "REKAM_"

_log = structlog.get_logger(__name__)


class Archiver:
    """Copies every stream of ours, and drops from the points streams what may go.

    every_s: pause between two rounds in which nothing was due.
    waits_for: why nothing goes on, when that is so.
    """

    def __init__(
        self,
        log: EventLog,
        store: BlobStore,
        retention: Retention,
        *,
        points: CutRules,
        control: CutRules,
        every_s: float,
    ) -> None:
        self._events = log
        self._store = store
        self._retention = retention
        self._points = points
        self._control = control
        self._every_s = every_s
        self._copiers: dict[str, StreamCopier] = {}
        self._round: asyncio.Task[float] | None = None
        self.waits_for = ""

    @property
    def copiers(self) -> Mapping[str, StreamCopier]:
        """Every stream, as far as it was looked at."""
        return self._copiers

    async def run(self) -> None:
        """Archive until cancelled; ends by itself only on what cannot pass."""
        while True:
            self._round = asyncio.create_task(self._guarded())
            try:
                await asyncio.wait([self._round])
            finally:
                self._round.cancel()
                await asyncio.wait([self._round])
            pause_s = 0.0 if self._round.cancelled() else self._round.result()
            await asyncio.sleep(pause_s)

    async def forget(self) -> None:
        """End what is going on and look at everything anew, after log and archive were emptied."""
        if self._round is not None:
            self._round.cancel()
            await asyncio.wait([self._round])
        self._copiers.clear()

    async def _guarded(self) -> float:
        """One round; answers how long to pause."""
        try:
            pause_s = await self._go_round()
        except Retry as error:
            telemetry.WAITS.inc()
            _log.warning("archive.waiting", reason=error.message)
            self.waits_for = error.message
            return self._every_s
        self.waits_for = ""
        return pause_s

    async def _go_round(self) -> float:
        streams = [name for name in await self._events.streams() if name.startswith(_PREFIX)]
        streams.sort(key=is_points_stream)
        copied_s, copied = 0.0, False
        for stream in streams:
            started = time.perf_counter()
            if await self._visit(stream):
                copied = True
                copied_s += time.perf_counter() - started
        # Under load as long a rest as the work took: points come first, their archive can wait.
        return min(copied_s, self._every_s) if copied else self._every_s

    async def _visit(self, stream: str) -> bool:
        """The stream's next segment, if one is due, and what may go then."""
        extent = await self._events.extent(stream)
        points = is_points_stream(stream)
        copier = self._copiers.get(stream)
        if copier is None or copier.log_id != extent.log_id:
            rules = self._points if points else self._control
            copier = StreamCopier(self._events, self._store, stream, extent, rules)
            await copier.start()
            self._copiers[stream] = copier
        copied = await copier.copy_next(extent)
        if points and not await self._retention.apply(stream, copier):
            del self._copiers[stream]
        return copied
