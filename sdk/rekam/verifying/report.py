"""What a verifier found, counted; any thread may add to it."""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any

from rekam.verifying.difference import Difference

# Upper ends of the latencies' buckets, seconds; the last is open.
BOUNDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
_NOTES = 50


@dataclass(slots=True)
class Histogram:
    """How long something took."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    total: float = 0.0
    greatest: float = 0.0

    def add(self, seconds: float) -> None:
        """One more."""
        self.counts[bisect_left(BOUNDS, seconds)] += 1
        self.total += seconds
        self.greatest = max(self.greatest, seconds)

    def at_most(self, share: float) -> float:
        """Upper end of the bucket up to which `share` of them lie; 0 when there are none."""
        left = share * sum(self.counts)
        for bound, count in zip(BOUNDS, self.counts, strict=False):
            left -= count
            if left <= 0:
                return min(bound, round(self.greatest, 4))
        return round(self.greatest, 4)


class Report:
    """Counts of points unless named otherwise. By door: see rekam.verifying.doors."""

    def __init__(self) -> None:
        self.written = 0
        self.acknowledged = 0
        self.runs = 0
        self.read: Counter[str] = Counter()
        self.missing: Counter[str] = Counter()
        self.doubled: Counter[str] = Counter()
        self.wrong: Counter[str] = Counter()
        # Reads that began after an acknowledgement and did not show it; it was there later.
        self.late: Counter[str] = Counter()
        # Errors that the client had to handle: (what it did, the error's name).
        self.errors: Counter[tuple[str, str]] = Counter()
        self.outages = 0
        self.outage_seconds = 0.0
        # From the log call until flush() returned.
        self.acknowledging = Histogram()
        # From the beginning of a read until it showed what was acknowledged before.
        self.fresh = Histogram()
        # What was found, in words; the last of them.
        self.notes: deque[str] = deque(maxlen=_NOTES)
        self._lock = threading.Lock()
        self._away_since: float | None = None

    @property
    def clean(self) -> bool:
        """Nothing is missing, doubled or wrong."""
        return not (self.missing.total() or self.doubled.total() or self.wrong.total())

    @property
    def unavailable(self) -> bool:
        """Whether the server did not answer when it was last asked."""
        return self._away_since is not None

    def add_written(self, points: int) -> None:
        """Points that were handed over."""
        with self._lock:
            self.written += points

    def add_acknowledged(self, points: int, seconds: float) -> None:
        """Points that flush() returned for, in so many seconds."""
        with self._lock:
            self.acknowledged += points
            self.acknowledging.add(seconds)

    def add_run(self) -> None:
        """A run was started."""
        with self._lock:
            self.runs += 1

    def add_read(self, door: str, found: Difference, run_id: str, *, late: int = 0) -> None:
        """What a read found, after it had its time; `late` reads did not show it."""
        with self._lock:
            self.read[door] += found.read
            self.missing[door] += found.missing
            self.doubled[door] += found.doubled
            self.wrong[door] += found.wrong
            self.late[door] += late
            self.notes.extend(f"{door} of run {run_id}: {note}" for note in found.notes)

    def add_fresh(self, seconds: float) -> None:
        """A read, with those that came late before it, took so long."""
        with self._lock:
            self.fresh.add(seconds)

    def add_error(self, doing: str, error: Exception) -> None:
        """The client had to handle an error."""
        with self._lock:
            self.errors[doing, type(error).__name__] += 1
            self.notes.append(f"{doing}: {type(error).__name__}: {error}")

    def away(self) -> None:
        """The server did not answer."""
        with self._lock:
            if self._away_since is None:
                self._away_since = time.monotonic()
                self.outages += 1

    def back(self) -> None:
        """It answered."""
        with self._lock:
            if self._away_since is not None:
                self.outage_seconds += time.monotonic() - self._away_since
                self._away_since = None

    def summary(self) -> dict[str, Any]:
        """All of it, for one JSON document."""
        with self._lock:
            return {
                "clean": self.clean,
                "runs": self.runs,
                "points_written": self.written,
                "points_acknowledged": self.acknowledged,
                "read": dict(self.read),
                "missing": +self.missing,
                "doubled": +self.doubled,
                "wrong": +self.wrong,
                "late": +self.late,
                "errors": [
                    {"doing": doing, "error": error, "count": count}
                    for (doing, error), count in sorted(self.errors.items())
                ],
                "outages": self.outages,
                "outage_seconds": round(self.outage_seconds, 3),
                "acknowledging": _summary(self.acknowledging),
                "fresh": _summary(self.fresh),
                "notes": list(self.notes),
            }


def _summary(histogram: Histogram) -> dict[str, float]:
    return {
        "count": sum(histogram.counts),
        "p50": histogram.at_most(0.5),
        "p99": histogram.at_most(0.99),
        "greatest": histogram.greatest,
    }
