"""The projector: one stream into one database, for ever.

Every failure that may pass is answered the same way: start over from the position in
Postgres. That is always right, because rows and position were committed together, so
nothing needs to be known about how far the failed attempt came.

While a batch commits the follower fetches ahead (within its own bounds), so a projector
needs no second task for that.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from time import perf_counter

import structlog

from rekam_runtime.errors import Retry
from rekam_runtime.eventlog.port import EventLog, Follower, Record
from rekam_runtime.postgres import Pool
from rekam_runtime.process import beside
from rekam_runtime.projection import metrics, signals
from rekam_runtime.projection.applying import Apply, BatchWriter, Overtaken
from rekam_runtime.projection.batching import BatchLimits, Nudges, next_batch

_LAG_EVERY_S = 2.0
_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 0.5

_log = structlog.get_logger(__name__)


def _remembers_nothing() -> None:
    """For an `apply` that keeps no memory of what it wrote."""


class Projector:
    """Applies every record of a stream once, in order.

    service: whose tables and quarantine these are ("tracking"); also names the consumer.
    apply: writes records as rows (see `Apply`).
    rolled_back: called after what `apply` wrote since the last commit was rolled back, so
        that ids and rows it remembers are forgotten.
    """

    def __init__(
        self,
        log: EventLog,
        pool: Pool,
        *,
        stream: str,
        service: str,
        apply: Apply,
        rolled_back: Callable[[], None] = _remembers_nothing,
        limits: BatchLimits | None = None,
    ) -> None:
        self._events = log
        self._stream = stream
        self._service = service
        self._writer = BatchWriter(log, pool, stream, service, apply, rolled_back)
        self._limits = limits or BatchLimits()
        self._log = _log.bind(stream=stream)
        self.position = -1

    @property
    def running(self) -> bool:
        """Whether the position is known, for readiness."""
        return self.position >= 0

    async def run(self) -> None:
        """Project until cancelled, which is safe at any moment; ends by itself only on what cannot pass."""
        try:
            await self._run()
        finally:
            # Another replica may go on: the figure is its now.
            with suppress(KeyError):
                metrics.LAG.remove(self._stream)

    async def _run(self) -> None:
        pause_s = _FIRST_PAUSE_S
        while True:
            before = self.position
            try:
                await self._follow_once()
            except Retry as error:
                metrics.RESTARTS.labels(self._stream).inc()
                level = self._log.info if isinstance(error, Overtaken) else self._log.warning
                level("projection.starting_over", reason=error.message, position=self.position)
            if self.position != before:
                pause_s = _FIRST_PAUSE_S
            # Not in step: two projectors of one stream must not go on colliding.
            await asyncio.sleep(pause_s * random.uniform(0.5, 1.0))
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

    async def _follow_once(self) -> None:
        """From the position in Postgres until something fails."""
        self.position = await self._writer.position()
        nudges = Nudges()
        async with self._events.signals(signals.nudge(self._stream)) as heard:
            follower = await self._events.follow(self._stream, f"{self._service}_project", self.position)
            try:
                async with beside(_obey(heard, nudges)), beside(self._report_lag()):
                    while True:
                        records = await next_batch(follower, self._limits, nudges, self.position)
                        await self._commit(follower, records)
            finally:
                await follower.close()

    async def _commit(self, follower: Follower, records: list[Record]) -> None:
        started = perf_counter()
        poisons = await self._writer.commit(self.position, records)
        self.position = records[-1].position
        metrics.COMMIT_SECONDS.labels(self._stream).observe(perf_counter() - started)
        metrics.POSITION.labels(self._stream).set(self.position)
        metrics.RECORDS.labels(self._stream).inc(len(records) - len(poisons))
        metrics.BYTES.labels(self._stream).inc(sum(len(record.data) for record in records))
        for poison in poisons:
            metrics.QUARANTINED.labels(self._stream).inc()
            self._log.error(
                "projection.quarantined",
                position=poison.record.position,
                subject=poison.record.subject,
                reason=poison.reason,
            )
        await follower.acknowledge(self.position)
        await self._events.publish_signal(signals.projected(self._stream), signals.encode(self.position))

    async def _report_lag(self) -> None:
        while True:
            with suppress(Retry):  # the figure stays as it was
                last = await self._events.last_position(self._stream)
                metrics.LAG.labels(self._stream).set(max(0, last - self.position))
            await asyncio.sleep(_LAG_EVERY_S)


async def _obey(heard: AsyncIterator[bytes], nudges: Nudges) -> None:
    async for data in heard:
        nudges.want(signals.decode(data))
