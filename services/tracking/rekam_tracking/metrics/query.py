"""Questions about metrics, answered from the chunks; see series.py for the transaction they need."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import replace
from uuid import UUID

from rekam_proto.tracking.v1 import metric_pb2
from rekam_runtime.postgres import Connection, Statements
from rekam_tracking.liveness.silence import longest_silence_s
from rekam_tracking.metrics import paging
from rekam_tracking.metrics.points import NONE, Bounds, Points, join
from rekam_tracking.metrics.series import LOAD_ROWS, by_rank, chunks_of, read_chunks, read_ordered
from rekam_tracking.ranges import closed
from rekam_tracking.ranks import rank_of, writers_of
from rekam_tracking.received import gaps

BLOCK_POINTS = 65_536
DEFAULT_PAGE = 10_000
_statements = Statements.load("rekam_tracking.metrics", "query.sql")


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
    writers = await writers_of(connection, UUID(request.run_id), request.writer, rank_of(request))
    bounds = Bounds(*closed(request.steps), *closed(request.times_us), writers)
    if place is not None:
        bounds = replace(bounds, time_from=max(bounds.time_from, place.time_us))
    page = NONE
    # One point more than the page says whether there is another page.
    load_rows = min(LOAD_ROWS, size + 1)
    async for part in read_ordered(connection, UUID(request.run_id), request.key, bounds, load_rows):
        part = part if place is None else place.skip(part)
        page = join([page, part.distinct() if request.distinct else part])
        if len(page) > size:
            break
    token = ""
    if len(page) > size:
        page = page.at(slice(size))
        behind = paging.place_behind(page, place)
        token = paging.encode(behind.past_equals() if request.distinct else behind, request)
    return metric_pb2.GetHistoryResponseView(points=_view(page), next_page_token=token)


async def stream_history(
    connection: Connection, request: metric_pb2.StreamHistoryRequest
) -> AsyncIterator[metric_pb2.HistoryBlockView]:
    for run_id in request.run_ids:
        run = UUID(run_id)
        writers = await writers_of(connection, run, "", rank_of(request))
        bounds = Bounds(*closed(request.steps), *closed(request.times_us), writers)
        for key in request.keys:
            chunks = await chunks_of(connection, run, key, bounds)
            ranks = await by_rank(connection, run, chunks) if request.by_rank else [(None, chunks)]
            for rank, some in ranks:
                async for part in read_chunks(connection, run, some, bounds):
                    part = part.distinct() if request.distinct else part
                    for first in range(0, len(part), BLOCK_POINTS):
                        points = _view(part.at(slice(first, first + BLOCK_POINTS)))
                        yield metric_pb2.HistoryBlockView(run_id=run_id, key=key, points=points, rank=rank)


async def list_ranks(connection: Connection, run_id: str) -> metric_pb2.ListRanksResponse:
    response = metric_pb2.ListRanksResponse()
    for row in await connection.fetch(_statements.ranks, run_id):
        response.ranks.add(**dict(row))
    return response


async def completeness(
    connection: Connection, run_id: str, crashed_after_s: float
) -> metric_pb2.GetCompletenessResponse:
    response = metric_pb2.GetCompletenessResponse()
    now_us = time.time_ns() // 1000
    for row in await connection.fetch(_statements.writers, run_id):
        ranges = [(span.lower, span.upper) for span in row["received"]]
        response.writers.add(
            writer=row["writer"],
            rank=row["rank"],
            complete_up_to=ranges[0][1] - 1 if ranges and ranges[0][0] == 1 else 0,
            greatest=ranges[-1][1] - 1 if ranges else 0,
            gaps=[metric_pb2.SequenceRange(first=first, last=end - 1) for first, end in gaps(ranges)],
            points=row["points"],
            heard_us=row["heard_us"],
            heartbeat_ms=row["heartbeat_ms"],
            alive=_alive(row["heard_us"], row["heartbeat_ms"], now_us, crashed_after_s),
        )
    return response


def _alive(
    heard_us: int | None, heartbeat_ms: int | None, now_us: int, crashed_after_s: float
) -> bool | None:
    if heard_us is None or heartbeat_ms is None:
        return None
    return now_us - heard_us <= 1e6 * longest_silence_s(crashed_after_s, heartbeat_ms)


def _view(points: Points) -> metric_pb2.PointsView:
    return metric_pb2.PointsView(
        steps=points.steps.tobytes(), times_us=points.times_us.tobytes(), values=points.values.tobytes()
    )
