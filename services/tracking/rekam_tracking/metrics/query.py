"""Questions about metrics, answered from the chunks; see series.py for the transaction they need."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from uuid import UUID

from rekam_proto.tracking.v1 import metric_pb2
from rekam_runtime.errors import NotFound
from rekam_runtime.postgres import Connection, Statements
from rekam_tracking.metrics import paging
from rekam_tracking.metrics.points import NONE, Points, join
from rekam_tracking.metrics.ranges import bounds_of
from rekam_tracking.metrics.series import LOAD_ROWS, read_ordered
from rekam_tracking.received import gaps

BLOCK_POINTS = 65_536
DEFAULT_PAGE = 10_000
_statements = Statements.load("rekam_tracking.metrics", "query.sql")


async def check_runs(connection: Connection, run_ids: Sequence[str], field: str) -> None:
    """Raises NotFound when one of them does not exist."""
    missing = await connection.fetchval(_statements.missing_run, run_ids)
    if missing is not None:
        raise NotFound(f"Run with id={missing.hex} not found", field=field)


async def list_metrics(connection: Connection, run_id: str) -> metric_pb2.ListMetricsResponse:
    rows = await connection.fetch(_statements.list_metrics, run_id)
    return metric_pb2.ListMetricsResponse(
        metrics=[metric_pb2.MetricSummary(key=row["key"], points=row["points"]) for row in rows]
    )


async def history_page(
    connection: Connection, request: metric_pb2.GetHistoryRequest
) -> metric_pb2.GetHistoryResponseView:
    size = request.page_size or DEFAULT_PAGE
    place = paging.decode(request)
    bounds = bounds_of(request.steps, request.times_us, request.writer)
    if place is not None:
        bounds = replace(bounds, time_from=max(bounds.time_from, place.time_us))
    page = NONE
    # One point more than the page says whether there is another page.
    load_rows = min(LOAD_ROWS, size + 1)
    async for part in read_ordered(connection, UUID(request.run_id), request.key, bounds, load_rows):
        page = join([page, part if place is None else place.skip(part)])
        if len(page) > size:
            break
    token = ""
    if len(page) > size:
        page = page.at(slice(size))
        token = paging.encode(paging.place_behind(page, place), request)
    return metric_pb2.GetHistoryResponseView(points=_view(page), next_page_token=token)


async def stream_history(
    connection: Connection, request: metric_pb2.StreamHistoryRequest
) -> AsyncIterator[metric_pb2.HistoryBlockView]:
    bounds = bounds_of(request.steps, request.times_us)
    for run_id in request.run_ids:
        for key in request.keys:
            async for part in read_ordered(connection, UUID(run_id), key, bounds):
                for first in range(0, len(part), BLOCK_POINTS):
                    block = part.at(slice(first, first + BLOCK_POINTS))
                    yield metric_pb2.HistoryBlockView(run_id=run_id, key=key, points=_view(block))


async def completeness(connection: Connection, run_id: str) -> metric_pb2.GetCompletenessResponse:
    response = metric_pb2.GetCompletenessResponse()
    for row in await connection.fetch(_statements.writers, run_id):
        ranges = [(span.lower, span.upper) for span in row["received"]]
        response.writers.add(
            writer=row["writer"],
            rank=row["rank"],
            complete_up_to=ranges[0][1] - 1 if ranges and ranges[0][0] == 1 else 0,
            greatest=ranges[-1][1] - 1 if ranges else 0,
            gaps=[metric_pb2.SequenceRange(first=first, last=end - 1) for first, end in gaps(ranges)],
            points=row["points"],
        )
    return response


def _view(points: Points) -> metric_pb2.PointsView:
    return metric_pb2.PointsView(
        steps=points.steps.tobytes(), times_us=points.times_us.tobytes(), values=points.values.tobytes()
    )
