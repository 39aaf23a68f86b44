"""MetricService: proto in, proto out. Series leave as views: bytes, no work for each number."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sized
from contextlib import asynccontextmanager
from uuid import UUID

import grpc
import grpc.aio

from rekam_proto.tracking.v1 import metric_pb2, read_pb2
from rekam_runtime.errors import Invalid
from rekam_runtime.postgres import Connection
from rekam_tracking import rules
from rekam_tracking.metrics import query
from rekam_tracking.reads import Reads

Context = grpc.aio.ServicerContext
SERVICE = metric_pb2.DESCRIPTOR.services_by_name["MetricService"].full_name
MAX_PAGE = 100_000
MAX_BUCKETS = 10_000


class MetricServicer:
    """Answers from the projection, once it has what was acknowledged."""

    def __init__(self, reads: Reads) -> None:
        self._reads = reads

    def handler(self) -> grpc.GenericRpcHandler:
        unary, stream = grpc.unary_unary_rpc_method_handler, grpc.unary_stream_rpc_method_handler
        message = metric_pb2
        methods = {
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
        }
        return grpc.method_handlers_generic_handler(SERVICE, methods)

    async def list_metrics(
        self, request: metric_pb2.ListMetricsRequest, context: Context
    ) -> metric_pb2.ListMetricsResponse:
        async with self._reading([request.run_id], "run_id", request.consistency, context) as connection:
            return await query.list_metrics(connection, UUID(request.run_id))

    async def get_history(
        self, request: metric_pb2.GetHistoryRequest, context: Context
    ) -> metric_pb2.GetHistoryResponseView:
        if not 0 <= request.page_size <= MAX_PAGE:
            raise Invalid(f"a page has 1 to {MAX_PAGE} points, asked for {request.page_size}", field="page_size")
        async with self._reading([request.run_id], "run_id", request.consistency, context) as connection:
            return await query.history_page(connection, request)

    async def stream_history(
        self, request: metric_pb2.StreamHistoryRequest, context: Context
    ) -> AsyncIterator[metric_pb2.HistoryBlockView]:
        _count(request.run_ids, 1_000, "run_ids")
        _count(request.keys, 1_000, "keys")
        async with self._reading(request.run_ids, "run_ids", request.consistency, context) as connection:
            async for block in query.stream_history(connection, request):
                yield block

    async def get_buckets(
        self, request: metric_pb2.GetBucketsRequest, context: Context
    ) -> metric_pb2.GetBucketsResponse:
        _count(request.run_ids, 100, "run_ids")
        _count(request.keys, 100, "keys")
        if not 1 <= request.buckets <= MAX_BUCKETS:
            raise Invalid(f"1 to {MAX_BUCKETS} buckets, asked for {request.buckets}", field="buckets")
        if request.axis not in metric_pb2.Axis.values():
            raise Invalid(f"{request.axis} is no axis", field="axis")
        if request.x.HasField("from") and request.x.HasField("to") and getattr(request.x, "from") > request.x.to:
            raise Invalid("the range ends before it begins", field="x")
        response = metric_pb2.GetBucketsResponse()
        async with self._reading(request.run_ids, "run_ids", request.consistency, context) as connection:
            for run_id in request.run_ids:
                for key in request.keys:
                    response.series.append(await query.get_buckets(connection, run_id, key, request))
        return response

    async def get_completeness(
        self, request: metric_pb2.GetCompletenessRequest, context: Context
    ) -> metric_pb2.GetCompletenessResponse:
        async with self._reading([request.run_id], "run_id", request.consistency, context) as connection:
            return await query.completeness(connection, UUID(request.run_id))

    @asynccontextmanager
    async def _reading(
        self, run_ids: Iterable[str], field: str, consistency: read_pb2.Consistency, context: Context
    ) -> AsyncIterator[Connection]:
        """A connection that sees one moment of the points of existing runs."""
        checked = list(run_ids)
        for run_id in checked:
            rules.run_id(run_id, field)
        points = self._reads.points_of(checked)
        async with self._reads.connection(consistency, context, points) as connection:
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                for run_id in checked:
                    await query.check_run(connection, UUID(run_id), field)
                yield connection


def _count(values: Sized, most: int, field: str) -> None:
    number = len(values)
    if not 1 <= number <= most:
        raise Invalid(f"1 to {most} {field}, got {number}", field=field)
