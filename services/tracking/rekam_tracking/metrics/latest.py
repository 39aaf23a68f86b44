"""The latest row of a block of points: greatest step, then time, then value by value. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from rekam_tracking.metrics.chunks import Columns, Float64s


@dataclass(frozen=True, slots=True)
class LatestRow:
    """One row for all keys of a key set."""

    step: int
    time_us: int
    values: Float64s


def latest_of(rows: Iterable[LatestRow]) -> LatestRow:
    """The latest of at least one; of rows with the same step and time the greater
    value counts, key by key, NaN as 0, and the first of equals stays."""
    latest, *others = rows
    for row in others:
        place, best = (row.step, row.time_us), (latest.step, latest.time_us)
        if place > best:
            latest = row
        elif place == best:
            latest = LatestRow(*best, _greater(latest.values, row.values))
    return latest


def latest_row(block: Columns) -> LatestRow:
    """The latest row of a block; nothing of the block is kept."""
    step = block.steps.max()
    rows = np.flatnonzero(block.steps == step)
    time_us = block.times_us[rows].max()
    rows = rows[block.times_us[rows] == time_us]
    values = block.values[:, rows[0]].copy()
    for row in rows[1:]:
        values = _greater(values, block.values[:, row])
    return LatestRow(int(step), int(time_us), values)


def _greater(before: Float64s, after: Float64s) -> Float64s:
    return np.where(_comparable(after) > _comparable(before), after, before)


def _comparable(values: Float64s) -> Float64s:
    return np.where(np.isnan(values), 0.0, values)
