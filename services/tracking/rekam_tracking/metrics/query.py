"""Questions about metrics, answered from the chunks."""

from __future__ import annotations

import base64
import hashlib
import struct
from collections.abc import AsyncIterator
from uuid import UUID

import numpy as np

from rekam_proto.tracking.v1 import metric_pb2
from rekam_runtime.errors import Invalid, NotFound
from rekam_runtime.postgres import Connection, Statements
from rekam_tracking.metrics import buckets
from rekam_tracking.metrics.series import (
    INT64_MAX,
    INT64_MIN,
    NONE,
    Bounds,
    Points,
    chunks_of,
    load,
    read_series,
)

BLOCK_POINTS = 65_536
DEFAULT_PAGE = 10_000
_statements = Statements.load("rekam_tracking.metrics", "query.sql")
_TOKEN = struct.Struct("<8sqqdq")  # digest of the query, time, step, value, points equal to it


async def check_run(connection: Connection, run_id: UUID, field: str = "run_id") -> None:
    """Raises NotFound when there is no such run."""
    if not await connection.fetchval(_statements.run_exists, run_id):
        raise NotFound(f"Run with id={run_id.hex} not found", field=field)


async def list_metrics(connection: Connection, run_id: UUID) -> metric_pb2.ListMetricsResponse:
    rows = await connection.fetch(_statements.list_metrics, run_id)
    return metric_pb2.ListMetricsResponse(
        metrics=[metric_pb2.MetricSummary(key=row["key"], points=row["points"]) for row in rows]
    )


def bounds_of(steps: metric_pb2.Range, times_us: metric_pb2.Range, writer: str = "") -> Bounds:
    return Bounds(
        step_from=getattr(steps, "from") if steps.HasField("from") else INT64_MIN,
        step_to=steps.to if steps.HasField("to") else INT64_MAX,
        time_from=getattr(times_us, "from") if times_us.HasField("from") else INT64_MIN,
        time_to=times_us.to if times_us.HasField("to") else INT64_MAX,
        writer=writer,
    )


async def history_page(
    connection: Connection, request: metric_pb2.GetHistoryRequest
) -> metric_pb2.GetHistoryResponseView:
    """A page of a series; its token names the last point, and how many equal ones came before."""
    bounds = bounds_of(request.steps, request.times_us, request.writer)
    size = request.page_size or DEFAULT_PAGE
    digest = _digest(request)
    after = _read_token(request.page_token, digest)
    if after is not None:
        time_us = after[0]
        bounds = Bounds(bounds.step_from, bounds.step_to, max(bounds.time_from, time_us), bounds.time_to, bounds.writer)
    page, skipped = NONE, 0
    async for part in read_series(connection, UUID(request.run_id), request.key, bounds):
        if after is not None:
            # A part may end among points equal to the token's: what is skipped is counted on.
            part, equal = _behind(part, after, skipped)
            skipped += equal
        page += part
        if len(page) > size:
            break
    token = ""
    if len(page) > size:
        page = page.at(slice(0, size))
        token = _token_of(page, after, digest)
    return metric_pb2.GetHistoryResponseView(points=_view(page), next_page_token=token)


async def stream_history(
    connection: Connection, request: metric_pb2.StreamHistoryRequest
) -> AsyncIterator[metric_pb2.HistoryBlockView]:
    bounds = bounds_of(request.steps, request.times_us)
    for run_id in request.run_ids:
        for key in request.keys:
            async for part in read_series(connection, UUID(run_id), key, bounds):
                for first in range(0, len(part), BLOCK_POINTS):
                    block = part.at(slice(first, first + BLOCK_POINTS))
                    yield metric_pb2.HistoryBlockView(run_id=run_id, key=key, points=_view(block))


async def get_buckets(
    connection: Connection, run_id: str, key: str, request: metric_pb2.GetBucketsRequest
) -> metric_pb2.SeriesBuckets:
    """One series; every chunk is read whole, so that nothing is missed."""
    by_step = request.axis == metric_pb2.AXIS_STEP
    chunks = await chunks_of(connection, UUID(run_id), key, Bounds())
    points = await load(connection, UUID(run_id), chunks, steps=by_step, times=not by_step)
    x = points.steps if by_step else points.times_us
    values = points.values
    if not (x[1:] > x[:-1]).all():
        points = await load(connection, UUID(run_id), chunks)
        order = (points.times_us, points.steps) if by_step else (points.steps, points.times_us)
        points = points.at(np.lexsort((points.values, *order)))
        x, values = (points.steps if by_step else points.times_us), points.values
    if request.axis == metric_pb2.AXIS_RELATIVE_TIME and len(x):
        x = x - x[0]
    asked = request.x
    first = getattr(asked, "from") if asked.HasField("from") else (int(x[0]) if len(x) else 0)
    last = asked.to if asked.HasField("to") else (int(x[-1]) if len(x) else first)
    if last < first:
        last = first
        x, values = x[:0], values[:0]
    found = buckets.cut(x, values, first, last, request.buckets)
    return metric_pb2.SeriesBuckets(
        run_id=run_id,
        key=key,
        x_from=found.x_from,
        x_to=found.x_to,
        index=found.index.tolist(),
        count=found.count.tolist(),
        min=found.min.tolist(),
        max=found.max.tolist(),
        mean=found.mean.tolist(),
        last=found.last.tolist(),
        first_x=found.first_x.tolist(),
        last_x=found.last_x.tolist(),
        nans=found.nans.tolist(),
    )


async def completeness(connection: Connection, run_id: UUID) -> metric_pb2.GetCompletenessResponse:
    response = metric_pb2.GetCompletenessResponse()
    for row in await connection.fetch(_statements.writers, run_id):
        ranges = [(part.lower, part.upper - 1) for part in row["received"]]
        writer = response.writers.add(writer=row["writer"], rank=row["rank"], points=row["points"])
        expected = 1
        for first, last in ranges:
            if first > expected:
                writer.gaps.add(first=expected, last=first - 1)
            expected = last + 1
        writer.complete_up_to = ranges[0][1] if ranges and ranges[0][0] == 1 else 0
        writer.greatest = ranges[-1][1] if ranges else 0
    return response


def _view(points: Points) -> metric_pb2.PointsView:
    return metric_pb2.PointsView(
        steps=points.steps.tobytes(), times_us=points.times_us.tobytes(), values=points.values.tobytes()
    )


_After = tuple[int, int, float, int]


def _same(points: Points, after: _After) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    time_us, step, value, _ = after
    equal = np.isnan(points.values) if np.isnan(value) else points.values == value
    return (points.times_us == time_us) & (points.steps == step) & equal


def _behind(points: Points, after: _After, skipped: int) -> tuple[Points, int]:
    """Points past the token's place; and how many equal to it were left out."""
    time_us, step, value, count = after
    lesser = ~np.isnan(points.values) if np.isnan(value) else points.values < value
    before = (points.times_us < time_us) | (
        (points.times_us == time_us) & ((points.steps < step) | ((points.steps == step) & lesser))
    )
    equal = np.flatnonzero(_same(points, after))[: max(0, count - skipped)]
    before[equal] = True
    return points.at(~before), len(equal)


def _token_of(page: Points, after: _After | None, digest: bytes) -> str:
    last: _After = (int(page.times_us[-1]), int(page.steps[-1]), float(page.values[-1]), 0)
    equal = int(_same(page, last).sum())
    if after is not None and after[:2] == last[:2] and struct.pack("<d", after[2]) == struct.pack("<d", last[2]):
        equal += after[3]
    return base64.urlsafe_b64encode(_TOKEN.pack(digest, *last[:3], equal)).decode()


def _read_token(token: str, digest: bytes) -> _After | None:
    if not token:
        return None
    try:
        found, time_us, step, value, count = _TOKEN.unpack(base64.urlsafe_b64decode(token))
    except (ValueError, struct.error):
        raise Invalid("Invalid page token, not one that was given out", field="page_token") from None
    if found != digest:
        raise Invalid("Invalid page token, it belongs to another query", field="page_token")
    return (time_us, step, value, count)


def _digest(request: metric_pb2.GetHistoryRequest) -> bytes:
    query = metric_pb2.GetHistoryRequest(
        run_id=request.run_id,
        key=request.key,
        steps=request.steps,
        times_us=request.times_us,
        writer=request.writer,
    )
    return hashlib.sha256(query.SerializeToString(deterministic=True)).digest()[:8]
