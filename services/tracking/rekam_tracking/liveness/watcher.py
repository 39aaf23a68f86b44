"""The watcher: sees which writers live, and has the log say what became of their runs.

Several may watch at once: each decision is made against the log, on the run as it is there.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Protocol
from uuid import UUID

import structlog
from prometheus_client import Counter

from rekam_proto.tracking.v1 import run_pb2
from rekam_runtime.errors import Retry
from rekam_runtime.postgres import Connection, Pool, Statements, acquire, pinned
from rekam_runtime.projection import FreshReads
from rekam_tracking.liveness.silence import Heard, Silences, Verdict

# A look takes place so often in the time after which a run has crashed, but not more often than needed.
_LOOKS = 6
_LONGEST_REST_S = 5.0
# The log, the projection and the gateways may be away for so long before that counts.
_LONGEST_DEAFNESS_S = 10.0

crashed = Counter("rekam_runs_crashed", "Runs whose writers fell silent")
revived = Counter("rekam_runs_revived", "Runs that had crashed and were heard again")
_log = structlog.get_logger(__name__)
_statements = Statements.load("rekam_tracking.liveness", "watching.sql")


class Fates(Protocol):
    """Decides against the log what becomes of a run; answers whether it did anything."""

    async def crash(self, run_id: str, heard_ms: int) -> bool: ...

    async def revive(self, run_id: str) -> bool: ...


class Gateways(Protocol):
    """Knows whether one of the gateways was there lately."""

    def heard_within(self, seconds: float) -> bool: ...


class Watcher:
    """Looks for runs that have crashed or come back, for ever.

    It judges by what was heard since it began to listen. It begins anew whenever it could not
    hear: when the log, the database or all gateways are away, when the projection does not
    keep up, when it was held up itself.
    """

    def __init__(
        self,
        pool: Pool,
        fresh: FreshReads,
        gateways: Gateways,
        fates: Fates,
        *,
        streams: Iterable[str],
        crashed_after_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """streams: all that the projection reads. clock: seconds, of this process alone."""
        self._pool = pool
        self._fresh = fresh
        self._gateways = gateways
        self._fates = fates
        self._streams = list(streams)
        self._clock = clock
        self._silences = Silences(crashed_after_s)
        self._rest_s = min(_LONGEST_REST_S, crashed_after_s / _LOOKS)
        self._deafness_s = min(_LONGEST_DEAFNESS_S, crashed_after_s / 2)
        self._looked_at_s = -float("inf")

    async def run(self) -> None:
        while True:
            try:
                await self.look()
            except Retry as error:
                _log.warning("liveness.deaf", reason=error.message)
                self._silences.begin_anew()
            await asyncio.sleep(self._rest_s)

    async def look(self) -> None:
        """Look once; what it saw before counts when that was not long ago."""
        now_s = self._clock()
        held_up = now_s - self._looked_at_s > self._deafness_s
        if held_up or not self._gateways.heard_within(self._deafness_s):
            self._silences.begin_anew()
        targets = await self._fresh.caught_up(self._streams, self._deafness_s)
        async with acquire(self._pool) as connection:
            if not await self._fresh.holds(connection, targets):
                raise Retry("the database went back")
            runs = await _heard(connection)
        verdicts = self._silences.judge(runs, now_s)
        for run_id, verdict in verdicts.items():
            await self._carry_out(run_id, verdict, runs[run_id])
        self._looked_at_s = self._clock()

    async def _carry_out(self, run_id: UUID, verdict: Verdict, heard: Heard) -> None:
        match verdict:
            case Verdict.CRASHED:
                if await self._fates.crash(run_id.hex, heard.heard_us // 1000):
                    _log.info("run.crashed", run_id=run_id.hex, heard_us=heard.heard_us)
                    crashed.inc()
            case Verdict.REVIVED:
                if await self._fates.revive(run_id.hex):
                    _log.info("run.revived", run_id=run_id.hex)
                    revived.inc()
            case Verdict.LET_GO:
                async with pinned(self._pool) as connection:
                    await connection.execute(_statements.let_go, [run_id])


async def _heard(connection: Connection) -> dict[UUID, Heard]:
    """Runs to be watched."""
    await connection.execute(_statements.let_ended_go)
    return {
        row["run_id"]: Heard(
            row["status"] == run_pb2.RUN_STATUS_CRASHED, row["heard_us"], row["beat_us"], row["heartbeat_ms"]
        )
        for row in await connection.fetch(_statements.heard)
    }
