"""Compaction: small chunks of a writer become tiles of up to 4,096 rows in the order of time.

A tile has at most 256 keys, each column compressed by itself, so that reading one metric of
thousands touches one column of each tile. Rows come out as they went in, bit by bit; every
merge is one transaction, so that a reader sees either all chunks before it or the tiles.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby
from uuid import UUID

import numpy as np

from rekam_runtime.postgres import Connection, Row, Statements
from rekam_tracking.metrics.chunks import SMALL_ROWS, STEP, VALUE, Float64s, Int64s, stride_of
from rekam_tracking.metrics.compression import (
    compress_integers,
    compress_values,
    decompress_integers,
    decompress_values,
)
from rekam_tracking.metrics.rows import COMPRESSED, PLAIN, ChunkRow, copy_chunks

TILE_ROWS = 4_096
TILE_COLUMNS = 256
# So many small chunks are merged while more are coming; less than that when none come.
CROWDED = 64
QUIET = timedelta(seconds=30)
_statements = Statements.load("rekam_tracking.metrics", "compaction.sql")


@dataclass(frozen=True, slots=True)
class Due:
    """A key set of a run with small chunks that nobody has looked at."""

    run_id: UUID
    key_set_id: int
    small_chunks: int


async def find_due(
    connection: Connection, limit: int, crowded: int = CROWDED, quiet: timedelta = QUIET
) -> list[Due]:
    return [Due(*row) for row in await connection.fetch(_statements.due, crowded, quiet, limit)]


async def find_merges(connection: Connection, due: Due, crowded: int = CROWDED) -> list[list[int]]:
    """Chunks that go into one tile each (several for many keys), by id.

    Tiles that are small themselves are merged when there are as many as make a crowd, or
    when nothing else is left to do: so that no point is rewritten more than a few times.
    """
    rows = await connection.fetch(_statements.small_chunks, due.run_id, due.key_set_id, SMALL_ROWS)
    merges: list[list[int]] = []
    quiet = due.small_chunks < crowded
    for (_, codec, _), chunks in groupby(
        rows, lambda row: (row["writer_id"], row["codec"], row["first_column"])
    ):
        for some in _tiles(list(chunks)):
            if len(some) > 1 and (codec == PLAIN or quiet or len(some) >= crowded):
                merges += [[row["chunk_id"] for row in some]]
    return merges


async def merge(connection: Connection, due: Due, chunk_ids: Sequence[int]) -> bool:
    """Put chunks of one writer together; False when somebody else is at it or was before."""
    place = (due.run_id, due.key_set_id)
    async with connection.transaction():
        if not await connection.fetchval(_statements.lock, *place):
            return False
        rows = await connection.fetch(_statements.small_chunks, *place, SMALL_ROWS)
        by_id = {row["chunk_id"]: row for row in rows}
        if not by_id.keys() >= set(chunk_ids):
            return False
        chunks = [by_id[chunk_id] for chunk_id in chunk_ids]
        axes = await connection.fetch(_statements.axes, *place, chunk_ids)
        steps = np.concatenate([_steps(*pair) for pair in zip(chunks, axes, strict=True)])
        times_us = np.concatenate([_integers(row, "times_us") for row in axes])
        order = np.lexsort((steps, times_us))
        steps, times_us = steps[order], times_us[order]
        for first, number in _column_blocks(chunks[0]):
            block = await connection.fetch(_statements.block, *place, chunk_ids, first, number)
            tile = await asyncio.to_thread(_tile, due, chunks[0], first, steps, times_us, order, block)
            await copy_chunks(connection, [tile])
        await connection.execute(_statements.drop_chunks, *place, chunk_ids)
    return True


async def looked_at(connection: Connection, due: Due) -> None:
    """Note that there is nothing more to do, but for chunks that came since `due` was found."""
    await connection.execute(_statements.looked_at, due.run_id, due.key_set_id, due.small_chunks)


def _tiles(chunks: Sequence[Row]) -> Iterator[Sequence[Row]]:
    """Chunks in their order, as many together as make a tile."""
    start = rows = 0
    for end, chunk in enumerate(chunks):
        if rows + chunk["rows"] > TILE_ROWS:
            yield chunks[start:end]
            start, rows = end, 0
        rows += chunk["rows"]
    yield chunks[start:]


def _column_blocks(chunk: Row) -> Iterator[tuple[int, int]]:
    """First column (of the key set) and number of columns, for each tile of a chunk."""
    end = chunk["first_column"] + chunk["columns"]
    for first in range(chunk["first_column"], end, TILE_COLUMNS):
        yield first, min(TILE_COLUMNS, end - first)


def _tile(
    due: Due,
    chunk: Row,
    first_column: int,
    steps: Int64s,
    times_us: Int64s,
    order: np.ndarray[tuple[int], np.dtype[np.intp]],
    block: Sequence[Row],
) -> ChunkRow:
    matrix = np.concatenate([columns_of(row) for row in block], axis=1)
    values, ends = compress_values(column[order] for column in matrix)
    stride = stride_of(steps)
    return ChunkRow(
        run_id=due.run_id,
        key_set_id=due.key_set_id,
        writer_id=chunk["writer_id"],
        codec=COMPRESSED,
        rows=len(steps),
        first_column=first_column,
        columns=len(matrix),
        step_min=int(steps.min()),
        step_max=int(steps.max()),
        step_stride=stride,
        time_min=int(times_us[0]),
        time_max=int(times_us[-1]),
        column_ends=ends,
        steps=compress_integers(steps) if stride is None else None,
        times_us=compress_integers(times_us),
        values=values,
    )


def columns_of(row: Row) -> Float64s:
    """Columns of a chunk, K x n."""
    if row["codec"] == PLAIN:
        return np.frombuffer(row["values"], VALUE).reshape(-1, row["rows"])
    ends = row["column_ends"]
    starts = [0, *ends[:-1]]
    return np.stack(
        [decompress_values(row["values"][start:end]) for start, end in zip(starts, ends, strict=True)]
    )


def _steps(chunk: Row, axes: Row) -> Int64s:
    if chunk["step_stride"] is None:
        return _integers(axes, "steps")
    steps: Int64s = np.arange(chunk["rows"], dtype=STEP) * chunk["step_stride"] + chunk["step_min"]
    return steps


def _integers(row: Row, column: str) -> Int64s:
    return np.frombuffer(row[column], STEP) if row["codec"] == PLAIN else decompress_integers(row[column])
