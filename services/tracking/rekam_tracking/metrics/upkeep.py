"""Background work on stored metrics: settling of ended runs, merging of small chunks.

Each round is one transaction of bounded size, so that it can be cut off at any moment and
several processes may do it at once.
"""

from __future__ import annotations

import asyncio

import numpy as np
import structlog

from rekam_runtime.errors import Retry
from rekam_runtime.postgres import Connection, Pool, Statements, acquire
from rekam_tracking.metrics.projection import CHUNK_BYTES

_log = structlog.get_logger(__name__)
_statements = Statements.load("rekam_tracking.metrics", "upkeep.sql")

SETTLE_EVERY_S = 1.0
SETTLE_RUNS = 500
MERGE_EVERY_S = 5.0
# A series is merged when it has so many chunks of less than 1,024 rows.
CROWDED = 32
MERGE_CHUNKS = 512
MERGE_SERIES = 16


async def settle(connection: Connection, runs: int = SETTLE_RUNS) -> int:
    """Fold live rows of up to `runs` ended runs; answers how many there were."""
    async with connection.transaction():
        return int(await connection.fetchval(_statements.settle, runs))


async def merge(connection: Connection, crowded: int = CROWDED) -> int:
    """Merge small chunks of the most crowded series; answers how many series were merged."""
    merged = 0
    for row in await connection.fetch(_statements.crowded, crowded, MERGE_SERIES):
        merged += await _merge_series(connection, row["run_id"], row["key_set_id"], row["writer"])
    return merged


async def _merge_series(connection: Connection, run_id: object, key_set_id: int, writer: str) -> bool:
    async with connection.transaction():
        taken = await connection.fetch(
            _statements.take_small, run_id, key_set_id, writer, MERGE_CHUNKS, CHUNK_BYTES
        )
        if not taken:
            return False
        steps = np.frombuffer(b"".join(row["steps"] for row in taken), "<i8")
        times_us = np.frombuffer(b"".join(row["times_us"] for row in taken), "<i8")
        columns = [np.frombuffer(row["values"], "<f8").reshape(-1, row["rows"]) for row in taken]
        values = np.concatenate(columns, axis=1)
        bounds = (int(steps.min()), int(steps.max()), int(times_us.min()), int(times_us.max()))
        arrays = (steps.tobytes(), times_us.tobytes(), values.tobytes())
        await connection.execute(
            _statements.add_merged, run_id, key_set_id, writer, len(steps), *bounds, *arrays
        )
        return len(taken) > 1


async def keep_up(pool: Pool) -> None:
    """Do both for ever; a database that is away is waited for."""
    await asyncio.gather(_settling(pool), _merging(pool))


async def _settling(pool: Pool) -> None:
    while True:
        done = 0
        try:
            async with acquire(pool) as connection:
                done = await settle(connection)
        except Retry as error:
            _log.warning("metrics.settling_waits", reason=error.message)
        if done < SETTLE_RUNS:
            await asyncio.sleep(SETTLE_EVERY_S)


async def _merging(pool: Pool) -> None:
    while True:
        await asyncio.sleep(MERGE_EVERY_S)
        try:
            async with acquire(pool) as connection:
                while await merge(connection):
                    await asyncio.sleep(0.05)
        except Retry as error:
            _log.warning("metrics.merging_waits", reason=error.message)
