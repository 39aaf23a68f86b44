"""IngestService: sessions over gRPC, one per stream."""

from __future__ import annotations

from collections.abc import AsyncIterator

import grpc
import grpc.aio

from rekam_gateway import telemetry
from rekam_gateway.ingest.key_sets import KeySets
from rekam_gateway.ingest.publisher import ShardPublisher
from rekam_gateway.ingest.runs import Runs
from rekam_gateway.ingest.session import Session
from rekam_gateway.ingest.tracking import TrackingClient
from rekam_proto.ingest.v1 import ingest_pb2
from rekam_runtime.budget import ByteBudget
from rekam_runtime.errors import Retry

SERVICE = ingest_pb2.DESCRIPTOR.services_by_name["IngestService"].full_name


class IngestService:
    """Serves the ingest stream; all streams share the publishers, their bound, and key sets."""

    def __init__(
        self, tracking: TrackingClient, runs: Runs, publishers: list[ShardPublisher], budget: ByteBudget
    ) -> None:
        self._tracking = tracking
        self._runs = runs
        self._publishers = publishers
        self._budget = budget
        self._key_sets = KeySets()
        self._sessions: set[Session] = set()

    def handler(self) -> grpc.GenericRpcHandler:
        # Requests arrive as bytes: they are parsed into views, and one that cannot be
        # parsed is answered by us.
        ingest: grpc.RpcMethodHandler[bytes, ingest_pb2.IngestResponse] = (
            grpc.stream_stream_rpc_method_handler(
                self._ingest,
                request_deserializer=None,
                response_serializer=ingest_pb2.IngestResponse.SerializeToString,
            )
        )
        return grpc.method_handlers_generic_handler(SERVICE, {"Ingest": ingest})

    async def drain(self, reason: str) -> None:
        """Answer what was read, then end every stream with UNAVAILABLE; returns when all have ended.

        The log may be emptied then: what it has is to be announced again.
        """
        for session in self._sessions:
            session.end(Retry(reason))
        for session in list(self._sessions):
            await session.closed.wait()
        for publisher in self._publishers:
            publisher.forget()

    async def _ingest(
        self, requests: AsyncIterator[bytes], context: grpc.aio.ServicerContext[bytes, bytes]
    ) -> AsyncIterator[ingest_pb2.IngestResponse]:
        session = Session(self._tracking, self._runs, self._publishers, self._budget, self._key_sets)
        self._sessions.add(session)
        telemetry.streams.inc()
        try:
            async for answer in session.answers(requests):
                yield answer
        finally:
            self._sessions.discard(session)
            session.closed.set()
            telemetry.streams.dec()
