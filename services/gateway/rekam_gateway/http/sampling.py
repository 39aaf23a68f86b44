"""Which steps of long series are shown."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Steps = NDArray[np.int64]

# Steps that are kept at hand; of more, every second one is.
MOST_STEPS = 1_000_000


class Sampling:
    """Takes in the steps of several series, and picks some that all of them are shown at."""

    def __init__(self, most_steps: int = MOST_STEPS) -> None:
        self._most_steps = most_steps
        self._steps: Steps = np.empty(0, np.int64)
        self._ends: dict[str, tuple[int, int]] = {}

    def add(self, series: str, steps: Steps) -> None:
        first, last = int(steps.min()), int(steps.max())
        known = self._ends.get(series, (first, last))
        self._ends[series] = min(first, known[0]), max(last, known[1])
        self._steps = np.union1d(self._steps, steps)
        if len(self._steps) > self._most_steps:
            self._steps = self._steps[::2]

    def pick(self, most: int) -> Steps:
        """All steps, or `most` of them evenly and the last; and the ends of every series. Sorted."""
        steps = self._steps
        if len(steps) > most:
            evenly = (np.arange(most) * (len(steps) / most)).astype(np.intp)
            steps = np.append(steps[evenly], steps[-1])
        ends = np.array([end for ends in self._ends.values() for end in ends], np.int64)
        return np.union1d(steps, ends)
