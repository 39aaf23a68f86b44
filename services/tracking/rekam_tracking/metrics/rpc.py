"""MetricService: proto in, proto out. Series leave as views: bytes, no work for each number."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence, Sized
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio

from rekam_proto.tracking.v1 import metric_pb2, read_pb2
from rekam_runtime import names
from rekam_runtime.errors import Invalid
from rekam_runtime.postgres import Connection
from rekam_tracking import ranges, rules
from rekam_tracking.metrics import charts, query
from rekam_tracking.reads import Reads
from rekam_tracking.requests import Context

SERVICE = metric_pb2.DESCRIPTOR.services_by_name["MetricService"].full_name
MAX_PAGE = 100_000
MAX_BUCKETS = 10_000
MAX_STREAMED = 1_000
MAX_CHARTED = 100
MAX_SERIES = 10_000


class MetricServicer:
    """Answers from the projection, once it has what was acknowledged."""

    def __init__(self, reads: Reads, crashed_after_s: float) -> None:
        """crashed_after_s: see liveness.silence.longest_silence_s."""
        self._reads = reads
        self._crashed_after_s = crashed_after_s

    def handler(self) -> grpc.GenericRpcHandler:
        unary, stream = grpc.unary_unary_rpc_method_handler, grpc.unary_stream_rpc_method_handler
        message = metric_pb2
        methods: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
            "ListMetrics": unary(
                self.list_metrics,
                message.ListMetricsRequest.FromString,
                message.ListMetricsResponse.SerializeToString,
            ),
            "GetHistory": unary(
                self.get_history,
                message.GetHistoryRequest.FromString,
                message.GetHistoryResponseView.SerializeToString,
            ),
            "StreamHistory": stream(
                self.stream_history,
                message.StreamHistoryRequest.FromString,
                message.HistoryBlockView.SerializeToString,
            ),
            "GetBuckets": unary(
                self.get_buckets,
                message.GetBucketsRequest.FromString,
                message.GetBucketsResponse.SerializeToString,
            ),
            "GetCompleteness": unary(
                self.get_completeness,
                message.GetCompletenessRequest.FromString,
                message.GetCompletenessResponse.SerializeToString,
            ),
            "ListRanks": unary(
                self.list_ranks,
                message.ListRanksRequest.FromString,
                message.ListRanksResponse.SerializeToString,
            ),
        }
        return grpc.method_handlers_generic_handler(SERVICE, methods)

    async def list_metrics(
        self, request: metric_pb2.ListMetricsRequest, context: Context
    ) -> metric_pb2.ListMetricsResponse:
        async with self._reading([request.run_id], "run_id", request.consistency, context) as connection:
            return await query.list_metrics(connection, request.run_id)

    async def get_history(
        self, request: metric_pb2.GetHistoryRequest, context: Context
    ) -> metric_pb2.GetHistoryResponseView:
        if not 0 <= request.page_size <= MAX_PAGE:
            raise Invalid(f"a page has 1 to {MAX_PAGE} points, got {request.page_size}", field="page_size")
        rules.key(request.key, "key")
        ranges.check(request.steps, "steps")
        ranges.check(request.times_us, "times_us")
        if request.writer and (fault := names.writer_fault(request.writer)):
            raise Invalid(fault, field="writer")
        async with self._reading([request.run_id], "run_id", request.consistency, context) as connection:
            return await query.history_page(connection, request)

    async def stream_history(
        self, request: metric_pb2.StreamHistoryRequest, context: Context
    ) -> AsyncIterator[metric_pb2.HistoryBlockView]:
        _check_count(request.run_ids, MAX_STREAMED, "run_ids")
        _check_count(request.keys, MAX_STREAMED, "keys")
        rules.keys(request.keys)
        ranges.check(request.steps, "steps")
        ranges.check(request.times_us, "times_us")
        async with self._reading(
            request.run_ids, "run_ids", request.consistency, context, pass_missing=request.pass_missing
        ) as connection:
            async for block in query.stream_history(connection, request):
                yield block

    async def get_buckets(
        self, request: metric_pb2.GetBucketsRequest, context: Context
    ) -> metric_pb2.GetBucketsResponse:
        _check_count(request.run_ids, MAX_CHARTED, "run_ids")
        _check_count(request.keys, MAX_CHARTED, "keys")
        rules.keys(request.keys)
        if not 1 <= request.buckets <= MAX_BUCKETS:
            raise Invalid(f"1 to {MAX_BUCKETS} buckets, got {request.buckets}", field="buckets")
        if request.axis not in metric_pb2.Axis.values():
            raise Invalid(f"{request.axis} is no axis", field="axis")
        ranges.check(request.x, "x")
        async with self._reading(request.run_ids, "run_ids", request.consistency, context) as connection:
            response = metric_pb2.GetBucketsResponse()
            for run_id in request.run_ids:
                for key in request.keys:
                    async for series in charts.buckets_of(connection, run_id, key, request):
                        if len(response.series) == MAX_SERIES:
                            raise Invalid(
                                f"an answer has at most {MAX_SERIES} series: ask for fewer runs or keys",
                                field="by_rank",
                            )
                        response.series.append(series)
            return response

    async def get_completeness(
        self, request: metric_pb2.GetCompletenessRequest, context: Context
    ) -> metric_pb2.GetCompletenessResponse:
        async with self._reading([request.run_id], "run_id", request.consistency, context) as connection:
            return await query.completeness(connection, request.run_id, self._crashed_after_s)

    async def list_ranks(
        self, request: metric_pb2.ListRanksRequest, context: Context
    ) -> metric_pb2.ListRanksResponse:
        async with self._reading([request.run_id], "run_id", request.consistency, context) as connection:
            return await query.list_ranks(connection, request.run_id)

    @asynccontextmanager
    async def _reading(
        self,
        run_ids: Sequence[str],
        field: str,
        consistency: read_pb2.Consistency,
        context: Context,
        *,
        pass_missing: bool = False,
    ) -> AsyncIterator[Connection]:
        """A connection that sees one moment of the points of runs that exist."""
        async with (
            self._reads.of_runs(
                run_ids, field, consistency, context, pass_missing=pass_missing
            ) as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            yield connection


def _check_count(items: Sized, most: int, field: str) -> None:
    if not 1 <= len(items) <= most:
        raise Invalid(f"1 to {most} {field}, got {len(items)}", field=field)
