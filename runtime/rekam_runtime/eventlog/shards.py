"""Which stream the points of a run go to.

A stream has one leader, so streams are the unit of horizontal scale. The subject of a
points stream names the shard only: a subject per run would collapse the write rate.
"""

from __future__ import annotations

from rekam_runtime.eventlog.port import StreamSpec

_POINTS = "REKAM_POINTS_"


def shard_of(run_id: bytes, shards: int) -> int:
    """Shard of a run, from the 16 bytes of its id."""
    return int.from_bytes(run_id[-4:], "big") % shards


def points_stream(shard: int) -> str:
    return f"{_POINTS}{shard}"


def is_points_stream(name: str) -> bool:
    return name.startswith(_POINTS)


def points_subject(shard: int) -> str:
    return f"rekam.points.{shard}"


def points_streams(shards: int, *, replicas: int = 1, max_bytes: int = -1) -> list[StreamSpec]:
    """Specs of all points streams; max_bytes bounds each."""
    return [
        StreamSpec(points_stream(shard), (points_subject(shard),), replicas, max_bytes)
        for shard in range(shards)
    ]
