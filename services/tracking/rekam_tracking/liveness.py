"""How long a writer may be silent, and what becomes of runs whose writers all are."""

from __future__ import annotations

# A heartbeat may be late or lost; so many in a row are not.
_HEARTBEATS = 3


def longest_silence_s(crashed_after_s: float, heartbeat_ms: int) -> float:
    """After more than this a writer with heartbeats so far apart is taken for dead."""
    return max(crashed_after_s, _HEARTBEATS * heartbeat_ms / 1000)
