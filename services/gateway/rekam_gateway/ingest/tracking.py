"""The tracking service as the ingest stream needs it: over gRPC, errors as ours."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import grpc.aio
from google.protobuf.message import Message

from rekam_proto.ingest.v1 import views_pb2
from rekam_proto.tracking.v1 import run_pb2, run_pb2_grpc
from rekam_runtime.rpc.status import error_from_rpc

TIMEOUT_SECONDS = 10.0


class TrackingClient:
    """Run state and control records, decided by the tracking service.

    Raises Refused when the service refuses and Retry when it cannot be reached.
    """

    def __init__(self, channel: grpc.aio.Channel) -> None:
        runs = run_pb2_grpc.RunServiceStub(channel)
        self._state = runs.GetRunState
        self._methods: dict[str, Callable[..., Awaitable[Message]]] = {
            "create_run": runs.CreateRun,
            "update_run": runs.UpdateRun,
            "log_params": runs.LogParams,
            "set_tags": runs.SetTags,
            "delete_tags": runs.DeleteTags,
            "log_inputs": runs.LogInputs,
            "log_outputs": runs.LogOutputs,
        }

    async def run_state(self, run_id: str) -> run_pb2.RunState:
        try:
            return await self._state(
                run_pb2.GetRunStateRequest(run_id=run_id), timeout=TIMEOUT_SECONDS, wait_for_ready=True
            )
        except grpc.aio.AioRpcError as error:
            raise error_from_rpc(error) from None

    async def apply(self, request: views_pb2.IngestRequestView, body: str) -> None:
        """Carry out a control record; once, because it carries its origin."""
        try:
            await self._methods[body](getattr(request, body), timeout=TIMEOUT_SECONDS, wait_for_ready=True)
        except grpc.aio.AioRpcError as error:
            raise error_from_rpc(error) from None
