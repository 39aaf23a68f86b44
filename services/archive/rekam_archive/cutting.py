"""When a segment is due, and where it ends.

Where it ends is a matter of the records alone: their size, and the log's own times. So
archivers that work on the same stream cut at the same places, and their segments are the same.
"""

from __future__ import annotations

from dataclasses import dataclass

from rekam_runtime.eventlog.port import Extent


@dataclass(frozen=True, slots=True)
class CutRules:
    """A segment ends at this size of its records, or before one that is this much younger than the first."""

    max_bytes: int
    max_age_s: float

    def ends_before(self, time_us: int, first_time_us: int) -> bool:
        """Whether a record of this time belongs to the next segment."""
        return time_us >= first_time_us + self.max_age_s * 1_000_000


def pending_bytes(extent: Extent, archived: int) -> int:
    """About how much lies past the position, by the stream's mean."""
    kept = extent.last - extent.first + 1
    return extent.bytes * (extent.last - archived) // kept if kept else 0
