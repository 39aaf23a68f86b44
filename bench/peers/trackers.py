"""What every tracker is asked to do. A call that writes returns when the tracker has acknowledged it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Batch:
    """One row for each step, a value for each key."""

    keys: tuple[str, ...]
    steps: NDArray[np.int64]
    values: NDArray[np.float64]  # keys x steps

    @property
    def points(self) -> int:
        return self.values.size


class Client(Protocol):
    """One connection; used by one thread."""

    def create_run(self) -> str: ...

    def log_metric(self, run_id: str, key: str, value: float, step: int) -> None: ...

    def batch(self, run_id: str, batch: Batch) -> bytes:
        """The request that logs it."""
        ...

    def log_batch(self, batch: bytes) -> None: ...

    def end_run(self, run_id: str) -> None: ...

    def history(self, run_id: str, key: str) -> list[bytes]:
        """Every point, as it came."""
        ...

    def values(self, history: list[bytes]) -> NDArray[np.float64]:
        """Of its points, in the order of steps."""
        ...

    def search(self, filled: str, metric: str, limit: int) -> int:
        """Runs with a value of the metric above 0.5, greatest first; how many came."""
        ...


class Tracker(Protocol):
    """A running tracker."""

    name: str

    def connect(self) -> AbstractContextManager[Client]: ...

    def fill_history(self, points: int) -> tuple[str, str]:
        """A run with so many points of one metric, straight into the database: run and key."""
        ...

    def fill_runs(self, runs: int, metric: str) -> str:
        """An experiment with so many ended runs, straight into the database; each has ten params and
        ten metrics, of which `metric` has values evenly over 0 to 1."""
        ...

    def resident_mib(self) -> dict[str, float]: ...
