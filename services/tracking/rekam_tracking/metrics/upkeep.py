"""Background work of the project role: settle runs that have ended, merge small chunks.

Each step is one transaction of bounded size, so that it can be cut off at any moment and
several processes may do it at once. Merging stays out of the way of the projection.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import structlog

from rekam_runtime.errors import Retry
from rekam_runtime.postgres import Pool, pinned
from rekam_tracking.metrics import compaction
from rekam_tracking.metrics.settling import settle

_log = structlog.get_logger(__name__)

SETTLE_EVERY_S = 1.0
LOOK_REST = 30
LOOK_EVERY_S = 2.0
# Key sets of runs looked at in a round.
ROUND = 64
# The projection is busy when it worked more than this share of the time since the last look;
# then only what would soon slow down reads is merged.
BUSY_SHARE = 0.3
OVERCROWDED = 1_024
# Merging rests so many times as long as it worked.
REST = 3


async def keep_up(pool: Pool, busy_s: Callable[[], float] = lambda: 0.0) -> None:
    """Do both for ever; a database that is away is waited for.

    busy_s: seconds that the projections of this process have worked so far.
    """
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_keep_settling(pool))
        tasks.create_task(_keep_merging(pool, busy_s))


async def _keep_settling(pool: Pool) -> None:
    while True:
        taken, started = 0, time.perf_counter()
        try:
            async with pinned(pool) as connection:
                taken = await settle(connection)
        except Retry as error:
            _log.warning("metrics.settling_waits", reason=error.message)
        # With many runs being written a look takes longer, and is worth less often.
        look_s = LOOK_REST * (time.perf_counter() - started)
        await asyncio.sleep(0.0 if taken else max(SETTLE_EVERY_S, look_s))


async def _keep_merging(pool: Pool, busy_s: Callable[[], float]) -> None:
    while True:
        before = busy_s()
        await asyncio.sleep(LOOK_EVERY_S)
        busy = busy_s() - before > BUSY_SHARE * LOOK_EVERY_S
        try:
            merged = await compact(pool, OVERCROWDED if busy else compaction.CROWDED, rest=REST)
        except Retry as error:
            _log.warning("metrics.merging_waits", reason=error.message)
        else:
            if merged:
                _log.debug("metrics.merged", tiles=merged)


async def compact(pool: Pool, crowded: int = compaction.CROWDED, *, rest: float = 0.0) -> int:
    """Merge what is due once; answers the number of merges.

    On one connection: what was found is merged in the generation that it was found in.
    """
    merged = 0
    async with pinned(pool) as connection:
        for due in await compaction.find_due(connection, ROUND, crowded):
            for chunk_ids in await compaction.find_merges(connection, due, crowded):
                started = time.perf_counter()
                merged += await compaction.merge(connection, due, chunk_ids)
                await asyncio.sleep(rest * (time.perf_counter() - started))
            await compaction.looked_at(connection, due)
    return merged
