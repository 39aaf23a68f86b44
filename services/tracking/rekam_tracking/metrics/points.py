"""Points of one series as columns, and their order: time, step, value.

Values are ordered by their bits, as IEEE 754 totalOrder has it: like numbers, -0.0 before 0.0
and NaNs at the ends. So two points are equal in the order only when they are the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rekam_tracking.metrics.chunks import STEP, VALUE, Float64s, Int64s
from rekam_tracking.ranges import INT64_MAX, INT64_MIN

Index = slice | npt.NDArray[np.intp] | npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Points:
    """n points as columns."""

    steps: Int64s
    times_us: Int64s
    values: Float64s

    def __len__(self) -> int:
        return len(self.values)

    def at(self, index: Index) -> Points:
        return Points(self.steps[index], self.times_us[index], self.values[index])

    def ordered(self) -> Points:
        """By time, step, value."""
        if _ascends(self.times_us, self.steps):
            return self
        return self.at(np.lexsort((value_order(self.values), self.steps, self.times_us)))

    def distinct(self) -> Points:
        """One of each, of points in order."""
        bits = self.values.view(np.int64)
        new = np.ones(len(self), np.bool_)
        new[1:] = (
            (self.times_us[1:] != self.times_us[:-1])
            | (self.steps[1:] != self.steps[:-1])
            | (bits[1:] != bits[:-1])
        )
        return self if new.all() else self.at(new)


NONE = Points(np.empty(0, STEP), np.empty(0, STEP), np.empty(0, VALUE))


def join(parts: Sequence[Points]) -> Points:
    filled = [part for part in parts if len(part)]
    if len(filled) < 2:
        return filled[0] if filled else NONE
    return Points(
        np.concatenate([part.steps for part in filled]),
        np.concatenate([part.times_us for part in filled]),
        np.concatenate([part.values for part in filled]),
    )


def value_order(values: Float64s) -> Int64s:
    """Integers in the order of the values."""
    bits = values.view(np.int64)
    return np.where(bits < 0, bits ^ np.int64(INT64_MAX), bits)


def _ascends(first: Int64s, second: Int64s) -> bool:
    """Whether (first, second) grows from each to the next."""
    later = first[1:] > first[:-1]
    if later.all():
        return True
    same = (first[1:] == first[:-1]) & (second[1:] > second[:-1])
    return bool((later | same).all())


@dataclass(frozen=True, slots=True)
class Bounds:
    """Which points are asked for; bounds are inclusive. writers: ids, None: of all."""

    step_from: int = INT64_MIN
    step_to: int = INT64_MAX
    time_from: int = INT64_MIN
    time_to: int = INT64_MAX
    writers: Sequence[int] | None = None

    def cut(self, points: Points) -> Points:
        inside = np.ones(len(points), np.bool_)
        for column, first, last in (
            (points.steps, self.step_from, self.step_to),
            (points.times_us, self.time_from, self.time_to),
        ):
            if first > INT64_MIN:
                inside &= column >= first
            if last < INT64_MAX:
                inside &= column <= last
        return points if inside.all() else points.at(inside)
