"""Every point as it lies in the tracking database: for more series than can be asked for one by one."""

from __future__ import annotations

import asyncio

import asyncpg
import numpy as np

from bench.checksum import Checksum
from rekam_tracking.metrics.compression import decompress_integers, decompress_values
from rekam_tracking.metrics.rows import PLAIN

_CHUNKS = """
SELECT run_id, codec, rows, columns, step_min, step_stride, steps, column_ends, values FROM metric_chunks
"""


def stored(url: str) -> dict[str, Checksum]:
    """Checksums of all points, by run."""
    return asyncio.run(_stored(url))


async def _stored(url: str) -> dict[str, Checksum]:
    found: dict[str, Checksum] = {}
    connection = await asyncpg.connect(url)
    try:
        async with connection.transaction(readonly=True):
            async for row in connection.cursor(_CHUNKS, prefetch=16):
                found.setdefault(row["run_id"].hex, Checksum()).add(
                    _values(row), _steps(row), columns=row["columns"]
                )
    finally:
        await connection.close()
    return found


def _values(row: asyncpg.Record) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    if row["codec"] == PLAIN:
        return np.frombuffer(row["values"], "<f8")
    ends = row["column_ends"]
    return np.concatenate(
        [
            decompress_values(row["values"][start:end])
            for start, end in zip([0, *ends[:-1]], ends, strict=True)
        ]
    )


def _steps(row: asyncpg.Record) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    steps: np.ndarray[tuple[int], np.dtype[np.int64]]
    if row["step_stride"] is not None:
        steps = np.arange(row["rows"], dtype="<i8") * row["step_stride"] + row["step_min"]
    elif row["codec"] == PLAIN:
        steps = np.frombuffer(row["steps"], "<i8")
    else:
        steps = decompress_integers(row["steps"])
    return steps
