"""Metrics of two generations held against each other: every point, by its run, writer and key.

Points are read from the chunks as they are stored. Their sum does not depend on their order, so
chunks may be cut, merged and compressed differently.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from uuid import UUID

import numpy as np
import numpy.typing as npt

from rekam_runtime.postgres import Connection, Row, Statements
from rekam_runtime.rebuild.comparing import Comparison, Digest, by_statement
from rekam_tracking.metrics.chunks import STEP
from rekam_tracking.metrics.compaction import columns_of
from rekam_tracking.metrics.compression import decompress_integers
from rekam_tracking.metrics.rows import PLAIN

_Words = npt.NDArray[np.uint64]
_statements = Statements.load("rekam_tracking.metrics", "comparing.sql")
# Of up to 4 MiB each.
_PREFETCHED = 8
_WRAP = 2**64
_ODD_1 = np.uint64(0x9E3779B97F4A7C15)
_ODD_2 = np.uint64(0xBF58476D1CE4E5B9)
_HALF = np.uint64(32)


async def _points(connection: Connection) -> AsyncIterator[Digest]:
    """For each run, the sum of all its points."""
    keys: dict[int, _Words] = {}
    run_id: UUID | None = None
    points = checksum = 0
    async for row in connection.cursor(_statements.chunks, prefetch=_PREFETCHED):
        if row["run_id"] != run_id:
            if run_id is not None:
                yield Digest(f"run {run_id}", points, checksum)
            run_id, points, checksum = row["run_id"], 0, 0
        if (key_set := row["key_set_id"]) not in keys:
            names = await connection.fetch(_statements.keys_of, key_set)
            keys[key_set] = np.array([_hash(name["key"]) for name in names], np.uint64)
        checksum = (checksum + await asyncio.to_thread(_sum_of, row, keys[key_set])) % _WRAP
        points += row["rows"] * row["columns"]
    if run_id is not None:
        yield Digest(f"run {run_id}", points, checksum)


def _sum_of(chunk: Row, keys: _Words) -> int:
    """Each point mixed to a number of its own, times one that stands for its writer and key."""
    steps, times_us = _axes(chunk)
    place = _mixed(steps.view(np.uint64) * _ODD_1) + times_us.view(np.uint64)
    values = columns_of(chunk).view(np.uint64)
    sums = np.array([_mixed(column ^ place).sum(dtype=np.uint64) for column in values], np.uint64)
    first = chunk["first_column"]
    series = (keys[first : first + chunk["columns"]] ^ np.uint64(_hash(chunk["writer"]))) | np.uint64(1)
    return int((sums * series).sum(dtype=np.uint64))


def _axes(chunk: Row) -> Sequence[npt.NDArray[np.int64]]:
    plain = chunk["codec"] == PLAIN
    if chunk["step_stride"] is not None:
        steps = np.arange(chunk["rows"], dtype=STEP) * chunk["step_stride"] + chunk["step_min"]
    else:
        steps = np.frombuffer(chunk["steps"], STEP) if plain else decompress_integers(chunk["steps"])
    times_us = np.frombuffer(chunk["times_us"], STEP) if plain else decompress_integers(chunk["times_us"])
    return steps, times_us


def _mixed(words: _Words) -> _Words:
    """Every bit of a word in about half of the bits of the new one."""
    words = words * _ODD_1
    words ^= words >> _HALF
    words *= _ODD_2
    words ^= words >> _HALF
    return words


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


COMPARISONS = [
    by_statement("key sets", _statements.key_sets),
    by_statement("rows of key sets", _statements.rows_of_key_sets),
    by_statement("latest values", _statements.latest_values),
    Comparison("points", _points),
]
