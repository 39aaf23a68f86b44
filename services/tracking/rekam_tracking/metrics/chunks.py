"""Frames put together into chunks: fewer, larger rows. Numbers are moved, never changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from rekam_tracking.metrics.frames import WORD, Frame

Int64s: TypeAlias = npt.NDArray[np.int64]
Float64s: TypeAlias = npt.NDArray[np.float64]

STEP = np.dtype("<i8")
VALUE = np.dtype("<f8")
# A row of Postgres is handled in memory as a whole, here and there, several times.
MAX_CHUNK_BYTES = 4 * 1024 * 1024
# So that a block of a history, and what a merge keeps waiting, is never more than this.
MAX_CHUNK_ROWS = 65_536
# Chunks with fewer rows are merged in time.
SMALL_ROWS = 1_024


@dataclass(frozen=True, slots=True)
class Columns:
    """Rows of one writer and key set; values has one row per key (K x n)."""

    steps: Int64s
    times_us: Int64s
    values: Float64s

    @property
    def rows(self) -> int:
        return len(self.steps)


def gather(frames: Sequence[Frame]) -> Iterator[Columns]:
    """Frames of one writer and key set as the fewest chunks within the bounds, in their order."""
    start = rows = size = 0
    for end, frame in enumerate(frames):
        full = size + len(frame.values) > MAX_CHUNK_BYTES or rows + frame.rows > MAX_CHUNK_ROWS
        if full and end > start:
            yield _join(frames[start:end], rows)
            start, rows, size = end, 0, 0
        rows += frame.rows
        size += len(frame.values)
    if frames:
        yield _join(frames[start:], rows)


def _join(frames: Sequence[Frame], rows: int) -> Columns:
    columns = len(frames[0].values) // (frames[0].rows * WORD)
    steps = np.frombuffer(b"".join([frame.steps for frame in frames]), STEP)
    times_us = np.frombuffer(b"".join([frame.times_us for frame in frames]), STEP)
    if len(frames) == 1:
        values = np.frombuffer(frames[0].values, VALUE).reshape(columns, rows)
        return Columns(steps, times_us, values)
    values = np.empty((columns, rows), VALUE)
    at = 0
    for frame in frames:
        values[:, at : at + frame.rows] = np.frombuffer(frame.values, VALUE).reshape(columns, frame.rows)
        at += frame.rows
    return Columns(steps, times_us, values)


def stride_of(steps: Int64s) -> int | None:
    """The distance of steps that grow evenly: all that is needed beside the first; else None."""
    if len(steps) == 1:
        return 1
    first, last = int(steps[0]), int(steps[-1])
    stride, rest = divmod(last - first, len(steps) - 1)
    # With every difference equal modulo 2**64 and their sum right, none has wrapped around.
    if rest or not 0 < stride < 2**63 or not bool((np.diff(steps) == stride).all()):
        return None
    return stride
