"""One metric of one run, read in the order time, step, value, a bounded part at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from rekam_runtime.postgres import Connection, Row, Statements

_statements = Statements.load("rekam_tracking.metrics", "query.sql")
INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
# Rows loaded at a time; those that overlap in time with what follows wait for it.
LOAD_ROWS = 262_144


@dataclass(frozen=True, slots=True)
class Points:
    """n points as columns."""

    steps: NDArray[np.int64]
    times_us: NDArray[np.int64]
    values: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.values)

    def at(self, index: slice | NDArray[np.int64] | NDArray[np.bool_]) -> Points:
        return Points(self.steps[index], self.times_us[index], self.values[index])

    def ordered(self) -> Points:
        """By time, step and value, NaN last."""
        times, steps = self.times_us, self.steps
        later = times[1:] > times[:-1]
        if not later.all() and not (later | ((times[1:] == times[:-1]) & (steps[1:] > steps[:-1]))).all():
            return self.at(np.lexsort((self.values, steps, times)))
        return self

    def __add__(self, other: Points) -> Points:
        if not len(self) or not len(other):
            return self if len(self) else other
        return Points(
            np.concatenate([self.steps, other.steps]),
            np.concatenate([self.times_us, other.times_us]),
            np.concatenate([self.values, other.values]),
        )


NONE = Points(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float64))


@dataclass(frozen=True, slots=True)
class Bounds:
    """Which points are asked for; bounds are inclusive."""

    step_from: int = INT64_MIN
    step_to: int = INT64_MAX
    time_from: int = INT64_MIN
    time_to: int = INT64_MAX
    writer: str = ""

    def cut(self, points: Points) -> Points:
        mask = np.ones(len(points), np.bool_)
        for column, first, last in (
            (points.steps, self.step_from, self.step_to),
            (points.times_us, self.time_from, self.time_to),
        ):
            if first > INT64_MIN:
                mask &= column >= first
            if last < INT64_MAX:
                mask &= column <= last
        return points if mask.all() else points.at(mask)


EVERYTHING = Bounds()


async def chunks_of(connection: Connection, run_id: UUID, key: str, bounds: Bounds) -> list[Row]:
    """The chunks with the series' points: chunk_id, rows, time_min, column_index."""
    return await connection.fetch(
        _statements.chunks,
        run_id,
        key,
        bounds.step_from,
        bounds.step_to,
        bounds.time_from,
        bounds.time_to,
        bounds.writer,
    )


async def load(
    connection: Connection, run_id: UUID, chunks: list[Row], *, steps: bool = True, times: bool = True
) -> Points:
    """The points of chunks, in the chunks' order; a column that is not wanted is empty."""
    rows = await connection.fetch(
        _statements.columns,
        [chunk["chunk_id"] for chunk in chunks],
        [chunk["column_index"] for chunk in chunks],
        run_id,
        steps,
        times,
    )
    joined = (b"".join(row[name] for row in rows) for name in ("steps", "times_us", "values"))
    return Points(*(np.frombuffer(data, kind) for data, kind in zip(joined, ("<i8", "<i8", "<f8"), strict=True)))


async def read_series(
    connection: Connection, run_id: UUID, key: str, bounds: Bounds = EVERYTHING
) -> AsyncIterator[Points]:
    """Parts of the series, in order. Runs inside a repeatable-read transaction of the caller,
    so that chunks which are merged meanwhile are still there.
    """
    chunks = await chunks_of(connection, run_id, key, bounds)
    waiting = NONE
    first = 0
    while first < len(chunks):
        end, rows = first, 0
        while end < len(chunks) and (end == first or rows + chunks[end]["rows"] <= LOAD_ROWS):
            rows += chunks[end]["rows"]
            end += 1
        waiting = (waiting + bounds.cut(await load(connection, run_id, chunks[first:end]))).ordered()
        first = end
        # Points before the next chunk's first one are followed by nothing that is not loaded.
        ready = len(waiting)
        if end < len(chunks):
            ready = int(np.searchsorted(waiting.times_us, chunks[end]["time_min"], "left"))
        if ready:
            yield waiting.at(slice(0, ready))
            waiting = waiting.at(slice(ready, None))
