"""Ranges of requests: inclusive bounds, either of which may be left out."""

from __future__ import annotations

from rekam_proto.tracking.v1 import metric_pb2
from rekam_runtime.errors import Invalid

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1


def ends_of(range: metric_pb2.Range) -> tuple[int | None, int | None]:
    """From and to; `from` is a word of Python's, so not an attribute's name."""
    first: int | None = getattr(range, "from") if range.HasField("from") else None
    return first, range.to if range.HasField("to") else None


def closed(range: metric_pb2.Range) -> tuple[int, int]:
    """From and to, an open end at the end of all integers."""
    first, last = ends_of(range)
    return INT64_MIN if first is None else first, INT64_MAX if last is None else last


def check(range: metric_pb2.Range, field: str) -> None:
    first, last = ends_of(range)
    if first is not None and last is not None and first > last:
        raise Invalid(f"a range goes from the lesser to the greater, got {first} to {last}", field=field)
