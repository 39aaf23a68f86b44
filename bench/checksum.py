"""A checksum of points that does not depend on the order they are read in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass
class Checksum:
    """Number of points, and sums modulo 2**64 of the bits of values and of steps."""

    points: int = 0
    values: int = 0
    steps: int = 0

    def add(self, values: NDArray[np.float64], steps: NDArray[np.int64], columns: int = 1) -> None:
        """Add `columns` series that share the same steps; values has len(steps) x columns."""
        self.points += values.size
        self.values = (self.values + int(values.view(np.uint64).sum(dtype=np.uint64))) % 2**64
        self.steps = (self.steps + columns * int(steps.sum(dtype=np.int64))) % 2**64
