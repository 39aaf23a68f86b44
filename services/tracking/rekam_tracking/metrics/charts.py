"""Buckets of a series, over any axis: which chunks, which columns of them, and where x begins."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from uuid import UUID

import numpy as np

from rekam_proto.tracking.v1 import metric_pb2
from rekam_runtime.postgres import Connection
from rekam_tracking.metrics.buckets import Buckets, Cut
from rekam_tracking.metrics.points import Bounds
from rekam_tracking.metrics.series import Chunk, by_rank, chunks_of, in_parts, load
from rekam_tracking.ranges import INT64_MAX, INT64_MIN, ends_of
from rekam_tracking.ranks import rank_of, writers_of


@dataclass(frozen=True, slots=True)
class _Scale:
    """An axis over a series: x = number - origin."""

    by_step: bool
    origin: int
    # The series' own ends.
    least: int
    greatest: int


async def buckets_of(
    connection: Connection, run_id: str, key: str, request: metric_pb2.GetBucketsRequest
) -> AsyncIterator[metric_pb2.SeriesBuckets]:
    """One series in buckets, or one for each rank."""
    run = UUID(run_id)
    bounds = Bounds(writers=await writers_of(connection, run, "", rank_of(request)))
    chunks = await chunks_of(connection, run, key, bounds)
    if not request.by_rank:
        yield await _series(connection, run, key, chunks, request)
        return
    for rank, some in await by_rank(connection, run, chunks):
        series = await _series(connection, run, key, some, request)
        if rank is not None:
            series.rank = rank
        yield series


async def _series(
    connection: Connection,
    run: UUID,
    key: str,
    chunks: Sequence[Chunk],
    request: metric_pb2.GetBucketsRequest,
) -> metric_pb2.SeriesBuckets:
    scale = _scale(chunks, request.axis)
    cut = _cut(scale, request)
    buckets = Buckets(cut)
    wanted = [chunk for chunk in chunks if _overlaps(chunk, cut, scale)]
    times = not (scale.by_step and _apart(wanted))
    if not times:
        wanted.sort(key=lambda chunk: chunk.step_min)
    for some, _ in in_parts(wanted):
        points = await load(connection, run, some, steps=scale.by_step, times=times)
        x = points.steps if scale.by_step else points.times_us
        buckets.add(x, points.times_us, points.values)
    return _answer(run.hex, key, scale, cut, buckets)


def _scale(chunks: Sequence[Chunk], axis: metric_pb2.Axis) -> _Scale:
    if not chunks:
        return _Scale(True, 0, 0, 0)
    if axis == metric_pb2.AXIS_STEP:
        least = min(chunk.step_min for chunk in chunks)
        return _Scale(True, 0, least, max(chunk.step_max for chunk in chunks))
    first = chunks[0].time_min
    origin = first if axis == metric_pb2.AXIS_RELATIVE_TIME else 0
    return _Scale(False, origin, first, max(chunk.time_max for chunk in chunks))


def _cut(scale: _Scale, request: metric_pb2.GetBucketsRequest) -> Cut:
    """The range asked for, in steps or times; an open end is the series', if it lies beyond the other."""
    first, last = ends_of(request.x)
    if first is not None:
        first = _clamp(first + scale.origin)
    if last is not None:
        last = _clamp(last + scale.origin)
    if first is None:
        first = scale.least if last is None else min(scale.least, last)
    if last is None:
        last = max(scale.greatest, first)
    return Cut(first, last, request.buckets)


def _clamp(number: int) -> int:
    return max(INT64_MIN, min(INT64_MAX, number))


def _overlaps(chunk: Chunk, cut: Cut, scale: _Scale) -> bool:
    if scale.by_step:
        return chunk.step_min <= cut.x_to and chunk.step_max >= cut.x_from
    return chunk.time_min <= cut.x_to and chunk.time_max >= cut.x_from


def _apart(chunks: Sequence[Chunk]) -> bool:
    """Whether no two points can have the same step, so that times decide nothing."""
    by_step = sorted(chunks, key=lambda chunk: chunk.step_min)
    evenly = all(chunk.step_stride is not None for chunk in chunks)
    return evenly and all(before.step_max < after.step_min for before, after in pairwise(by_step))


def _answer(run_id: str, key: str, scale: _Scale, cut: Cut, buckets: Buckets) -> metric_pb2.SeriesBuckets:
    filled = buckets.filled
    # Relative times of a series as long as all of int64 wrap around.
    origin = np.int64(scale.origin)
    return metric_pb2.SeriesBuckets(
        run_id=run_id,
        key=key,
        x_from=_clamp(cut.x_from - scale.origin),
        x_to=_clamp(cut.x_to - scale.origin),
        index=filled.tolist(),
        count=buckets.count[filled].tolist(),
        min=buckets.min[filled].tolist(),
        max=buckets.max[filled].tolist(),
        mean=buckets.mean()[filled].tolist(),
        last=buckets.last[filled].tolist(),
        first_x=(buckets.first_x[filled] - origin).tolist(),
        last_x=(buckets.last_x[filled] - origin).tolist(),
        nans=buckets.nans[filled].tolist(),
    )
