"""Ranges of requests: inclusive bounds, either of which may be left out."""

from __future__ import annotations

from rekam_proto.tracking.v1 import metric_pb2
from rekam_runtime.errors import Invalid
from rekam_tracking.metrics.points import INT64_MAX, INT64_MIN, Bounds


def ends_of(range: metric_pb2.Range) -> tuple[int | None, int | None]:
    """From and to; `from` is a word of Python's, so not an attribute's name."""
    first: int | None = getattr(range, "from") if range.HasField("from") else None
    return first, range.to if range.HasField("to") else None


def check(range: metric_pb2.Range, field: str) -> None:
    first, last = ends_of(range)
    if first is not None and last is not None and first > last:
        raise Invalid(f"a range goes from the lesser to the greater, got {first} to {last}", field=field)


def bounds_of(steps: metric_pb2.Range, times_us: metric_pb2.Range, writer: str = "") -> Bounds:
    step_from, step_to = ends_of(steps)
    time_from, time_to = ends_of(times_us)
    return Bounds(
        INT64_MIN if step_from is None else step_from,
        INT64_MAX if step_to is None else step_to,
        INT64_MIN if time_from is None else time_from,
        INT64_MAX if time_to is None else time_to,
        writer,
    )
