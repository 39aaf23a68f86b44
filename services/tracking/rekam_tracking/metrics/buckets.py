"""A series cut into buckets for a chart; pure numpy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Buckets:
    """Columns over the buckets that hold points, in order of x."""

    x_from: int
    x_to: int
    index: NDArray[np.int64]
    count: NDArray[np.int64]
    nans: NDArray[np.int64]
    min: NDArray[np.float64]
    max: NDArray[np.float64]
    mean: NDArray[np.float64]
    last: NDArray[np.float64]
    first_x: NDArray[np.int64]
    last_x: NDArray[np.int64]


def cut(x: NDArray[np.int64], values: NDArray[np.float64], x_from: int, x_to: int, buckets: int) -> Buckets:
    """Cut n >= 0 points, in the order of x, into equal parts of [x_from, x_to].

    Bucket b holds the x from x_from + b * span / buckets on, where span = x_to - x_from + 1.
    min, max and mean are over a bucket's numbers, NaN when there are none.
    """
    first, last = (int(np.searchsorted(x, bound, side)) for bound, side in ((x_from, "left"), (x_to, "right")))  # type: ignore[call-overload]
    x, values = x[first:last], values[first:last]
    span = x_to - x_from + 1
    # In Python's integers: a span may be greater than an int64.
    edges = [x_from + -(-number * span // buckets) for number in range(buckets)]
    starts = np.searchsorted(x, np.array(edges, np.int64), "left")
    ends = np.append(starts[1:], len(x))
    index = np.flatnonzero(starts < ends)
    starts, ends = starts[index], ends[index]
    count = ends - starts
    if not len(index):
        empty = np.empty(0, np.float64)
        return Buckets(x_from, x_to, index, count, count, empty, empty, empty, empty, x[:0], x[:0])
    missing = np.isnan(values)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        if missing.any():
            nans = np.add.reduceat(missing, starts, dtype=np.int64)
            total = np.add.reduceat(np.where(missing, 0.0, values), starts)
        else:
            nans = np.zeros(len(index), np.int64)
            total = np.add.reduceat(values, starts)
        return Buckets(
            x_from,
            x_to,
            index,
            count,
            nans,
            min=np.fmin.reduceat(values, starts),
            max=np.fmax.reduceat(values, starts),
            mean=total / (count - nans),
            last=values[ends - 1],
            first_x=x[starts],
            last_x=x[ends - 1],
        )
