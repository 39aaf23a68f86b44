"""Which point of a metric is the latest: greatest step, then time, then value (NaN as 0)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class LatestRow:
    """Latest values of all K keys of a key set, which share step and time."""

    step: int
    time_us: int
    values: NDArray[np.float64]


def latest_row(
    steps: NDArray[np.int64], times_us: NDArray[np.int64], values: NDArray[np.float64]
) -> LatestRow:
    """Of n rows; values is K x n."""
    if len(steps) == 1 or (steps[-1] > steps[:-1]).all():
        return LatestRow(int(steps[-1]), int(times_us[-1]), values[:, -1])
    step = steps.max()
    time_us = times_us[steps == step].max()
    rows = np.flatnonzero((steps == step) & (times_us == time_us))
    tied = values[:, rows]
    best = np.where(np.isnan(tied), 0.0, tied).argmax(axis=1)
    return LatestRow(int(step), int(time_us), tied[np.arange(len(tied)), best])
