"""A series cut into buckets for a chart, part by part; nothing is sampled away. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rekam_tracking.metrics.chunks import Float64s, Int64s
from rekam_tracking.metrics.points import value_order


@dataclass(frozen=True, slots=True)
class Cut:
    """[x_from, x_to] in `number` equal parts: x is in bucket (x - x_from) * number // span."""

    x_from: int
    x_to: int
    number: int

    def first_xs(self) -> Int64s:
        """The least x of each bucket; those behind x_to are left out.

        In Python's integers: the span may be greater than an int64.
        """
        span = self.x_to - self.x_from + 1
        xs = (self.x_from + -(-index * span // self.number) for index in range(self.number))
        return np.array([x for x in xs if x <= self.x_to], np.int64)


class Buckets:
    """Columns over all buckets of a cut, taking in points in any order."""

    def __init__(self, cut: Cut) -> None:
        self._cut = cut
        self._edges = cut.first_xs()
        size = len(self._edges)
        self.count = np.zeros(size, np.int64)
        self.nans = np.zeros(size, np.int64)
        self.min = np.full(size, np.nan)
        self.max = np.full(size, np.nan)
        self.last = np.full(size, np.nan)
        self.first_x = np.zeros(size, np.int64)
        self.last_x = np.zeros(size, np.int64)
        self._last_time = np.zeros(size, np.int64)
        # A sum of finite numbers must not become infinite: the range of float64 is too small.
        self._sum = np.zeros(size, np.longdouble)

    @property
    def filled(self) -> npt.NDArray[np.intp]:
        """Numbers of the buckets that hold points."""
        return np.flatnonzero(self.count)

    def mean(self) -> Float64s:
        """Over each bucket's numbers; NaN where there are none."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return (self._sum / (self.count - self.nans)).astype(np.float64)

    def add(self, x: Int64s, times_us: Int64s, values: Float64s) -> None:
        """Take in points. Times decide which of several with a bucket's greatest x is its last."""
        if not bool((x[1:] > x[:-1]).all()):
            order = np.lexsort((value_order(values), times_us, x))
            x, times_us, values = x[order], times_us[order], values[order]
        first = int(np.searchsorted(x, self._cut.x_from, "left"))
        last = int(np.searchsorted(x, self._cut.x_to, "right"))
        x, times_us, values = x[first:last], times_us[first:last], values[first:last]
        starts = np.searchsorted(x, self._edges, "left")
        ends = np.append(starts[1:], len(x))
        index = np.flatnonzero(starts < ends)
        if len(index):
            self._merge(index, starts[index], ends[index], x, times_us, values)

    def _merge(
        self,
        index: npt.NDArray[np.intp],
        starts: npt.NDArray[np.intp],
        ends: npt.NDArray[np.intp],
        x: Int64s,
        times_us: Int64s,
        values: Float64s,
    ) -> None:
        """index: buckets with points, those in order from starts to ends."""
        self.min[index] = np.fmin(self.min[index], np.fmin.reduceat(values, starts))
        self.max[index] = np.fmax(self.max[index], np.fmax.reduceat(values, starts))
        missing = np.isnan(values)
        if missing.any():
            self.nans[index] += np.add.reduceat(missing, starts, dtype=np.int64)
            numbers = np.where(missing, 0.0, values)
        else:
            numbers = values
        with np.errstate(invalid="ignore", over="ignore"):
            sums = np.add.reduceat(numbers, starts)
            if not np.isfinite(sums).all():
                sums = np.add.reduceat(numbers.astype(np.longdouble), starts)
            self._sum[index] += sums

        first_x, last_x = x[starts], x[ends - 1]
        last_time, last = times_us[ends - 1], values[ends - 1]
        new = self.count[index] == 0
        self.count[index] += ends - starts
        self.first_x[index] = np.where(new, first_x, np.minimum(self.first_x[index], first_x))
        old_x, old_time = self.last_x[index], self._last_time[index]
        tied = (last_x == old_x) & (
            (last_time > old_time)
            | ((last_time == old_time) & (value_order(last) > value_order(self.last[index])))
        )
        later = new | (last_x > old_x) | tied
        place = index[later]
        self.last_x[place], self._last_time[place], self.last[place] = (
            last_x[later],
            last_time[later],
            last[later],
        )
