"""One metric of one run, read from its chunks a bounded part at a time.

Everything here runs inside one repeatable-read transaction of the caller: the chunks that
were found are still there when they are read, whatever the compactor does meanwhile.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from uuid import UUID

import numpy as np

from rekam_runtime.postgres import Connection, Row, Statements
from rekam_tracking.metrics.chunks import STEP, VALUE, Float64s, Int64s
from rekam_tracking.metrics.compression import decompress_integers, decompress_values
from rekam_tracking.metrics.points import Bounds, Points, join
from rekam_tracking.metrics.rows import PLAIN
from rekam_tracking.ranks import ranks_of

_statements = Statements.load("rekam_tracking.metrics", "query.sql")
# Rows loaded at a time (24 bytes each). Those that overlap in time with what follows wait for it.
LOAD_ROWS = 262_144


@dataclass(frozen=True, slots=True)
class Chunk:
    """Where points of the series are. place: column of the metric within the chunk."""

    key_set_id: int
    chunk_id: int
    place: int
    rows: int
    step_min: int
    step_max: int
    step_stride: int | None
    time_min: int
    time_max: int
    writer_id: int


async def chunks_of(connection: Connection, run_id: UUID, key: str, bounds: Bounds) -> list[Chunk]:
    """The chunks that may have points of the series within the bounds, by least time, then least step."""
    rows = await connection.fetch(
        _statements.chunks,
        run_id,
        key,
        bounds.step_from,
        bounds.step_to,
        bounds.time_from,
        bounds.time_to,
        bounds.writers,
    )
    return [Chunk(*row) for row in rows]


async def read_ordered(
    connection: Connection, run_id: UUID, key: str, bounds: Bounds, load_rows: int = LOAD_ROWS
) -> AsyncIterator[Points]:
    """Parts of the series, in the order of time, step, value; equal points are in one part."""
    chunks = await chunks_of(connection, run_id, key, bounds)
    async for part in read_chunks(connection, run_id, chunks, bounds, load_rows):
        yield part


async def read_chunks(
    connection: Connection,
    run_id: UUID,
    chunks: Sequence[Chunk],
    bounds: Bounds,
    load_rows: int = LOAD_ROWS,
) -> AsyncIterator[Points]:
    """The same of chunks that were found before."""
    waiting: list[Points] = []
    for some, following in in_parts(chunks, load_rows):
        points = join([*waiting, bounds.cut(await load(connection, run_id, some))]).ordered()
        ready = len(points) if following is None else _before(points, following)
        waiting = [points.at(slice(ready, None))]
        if ready:
            yield points.at(slice(ready))


async def by_rank(
    connection: Connection, run_id: UUID, chunks: Iterable[Chunk]
) -> list[tuple[int | None, list[Chunk]]]:
    """Chunks of a run in their order, apart for each rank; those without one first."""
    ranks = await ranks_of(connection, run_id)
    apart: dict[int | None, list[Chunk]] = {}
    for chunk in chunks:
        apart.setdefault(ranks[chunk.writer_id], []).append(chunk)
    return sorted(apart.items(), key=lambda item: (item[0] is not None, item[0] or 0))


def _before(points: Points, following: Chunk) -> int:
    """How many of the points come before everything in the following chunks."""
    first = int(np.searchsorted(points.times_us, following.time_min, "left"))
    end = int(np.searchsorted(points.times_us, following.time_min, "right"))
    return first + int(np.searchsorted(points.steps[first:end], following.step_min, "left"))


def in_parts(
    chunks: Sequence[Chunk], load_rows: int = LOAD_ROWS
) -> Iterator[tuple[Sequence[Chunk], Chunk | None]]:
    """Chunks to be loaded together, and the one after them."""
    start = rows = 0
    for end, chunk in enumerate(chunks):
        if end > start and rows + chunk.rows > load_rows:
            yield chunks[start:end], chunk
            start, rows = end, 0
        rows += chunk.rows
    if chunks:
        yield chunks[start:], None


async def load(
    connection: Connection,
    run_id: UUID,
    chunks: Sequence[Chunk],
    *,
    steps: bool = True,
    times: bool = True,
) -> Points:
    """The points of chunks, in the chunks' order; a column that is not wanted is all 0."""
    rows = await connection.fetch(
        _statements.points,
        run_id,
        [chunk.key_set_id for chunk in chunks],
        [chunk.chunk_id for chunk in chunks],
        [chunk.place for chunk in chunks],
        steps,
        times,
    )
    rows.sort(key=itemgetter("number"))
    nothing = np.zeros(0 if steps and times else sum(chunk.rows for chunk in chunks), STEP)
    return Points(
        np.concatenate([_steps(*pair) for pair in zip(chunks, rows, strict=True)]) if steps else nothing,
        np.concatenate([_integers(row, "times_us") for row in rows]) if times else nothing,
        np.concatenate([_values(row) for row in rows]),
    )


def _steps(chunk: Chunk, row: Row) -> Int64s:
    if chunk.step_stride is None:
        return _integers(row, "steps")
    return np.arange(chunk.rows, dtype=STEP) * chunk.step_stride + chunk.step_min


def _integers(row: Row, column: str) -> Int64s:
    return np.frombuffer(row[column], STEP) if row["codec"] == PLAIN else decompress_integers(row[column])


def _values(row: Row) -> Float64s:
    data = row["values"]
    return np.frombuffer(data, VALUE) if row["codec"] == PLAIN else decompress_values(data)
