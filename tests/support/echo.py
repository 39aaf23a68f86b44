"""A gRPC service whose methods do what their request says, for tests of the rpc runtime.

Its methods are of `MetricService`, so that descriptors know them; its messages are bytes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio

from rekam_proto.tracking.v1 import metric_pb2
from rekam_runtime import errors
from rekam_runtime.eventlog.port import Conflict
from rekam_runtime.rpc.client import channel
from rekam_runtime.rpc.server import Service, build_server
from rekam_runtime.settings import HostPort

SERVICE = metric_pb2.DESCRIPTOR.services_by_name["MetricService"]
UNARY = f"/{SERVICE.full_name}/GetHistory"
STREAM = f"/{SERVICE.full_name}/StreamHistory"
BOTH_STREAM = f"/{SERVICE.full_name}/Both"
ANYWHERE = HostPort("127.0.0.1", 0)
Context = grpc.aio.ServicerContext[bytes, bytes]


class DriverError(Exception):
    """What only the service's own translation knows."""


_ERRORS: dict[bytes, Exception] = {
    b"invalid": errors.Invalid("is too long", field="params[0].key"),
    b"retry": errors.Retry("the log is away"),
    b"conflict": Conflict("moved on"),
    b"driver": DriverError("connection reset"),
    b"bug": RuntimeError("the password is hunter2"),
}


class Echo:
    """Answers with the request; fails as it says; `waiting` is set while a call hangs."""

    def __init__(self) -> None:
        self.waiting = asyncio.Event()
        self.cancelled = asyncio.Event()
        self.metadata: dict[str, Any] = {}
        self.remaining_s: float | None = None

    def register(self, server: grpc.aio.Server) -> None:
        handlers: dict[str, Any] = {
            "GetHistory": grpc.unary_unary_rpc_method_handler(self._unary),
            "StreamHistory": grpc.unary_stream_rpc_method_handler(self._stream),
            "Both": grpc.stream_stream_rpc_method_handler(self._both),
        }
        server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(SERVICE.full_name, handlers)])

    async def _do(self, request: bytes, context: Context) -> None:
        self.metadata = dict(context.invocation_metadata() or ())
        self.remaining_s = context.time_remaining()
        context.set_trailing_metadata((("served-by", "echo"),))
        if request == b"hang":
            self.waiting.set()
            try:
                await asyncio.Event().wait()
            finally:
                self.cancelled.set()
        if request in _ERRORS:
            raise _ERRORS[request]

    async def _unary(self, request: bytes, context: Context) -> bytes:
        await self._do(request, context)
        return request

    async def _stream(self, request: bytes, context: Context) -> AsyncIterator[bytes]:
        for number in range(3):
            yield request + str(number).encode()
        await self._do(request, context)

    async def _both(self, requests: AsyncIterator[bytes], context: Context) -> AsyncIterator[bytes]:
        async for request in requests:
            await self._do(request, context)
            yield request


def _translate(error: Exception) -> errors.RekamError | None:
    return errors.Retry(str(error)) if isinstance(error, DriverError) else None


@asynccontextmanager
async def serving(register: Any, name: str = SERVICE.full_name) -> AsyncIterator[grpc.aio.Channel]:
    """A server of ours with the handlers, and a channel to it."""
    service = Service(name, register)
    async with (
        build_server([service], ANYWHERE, translate=_translate) as server,
        channel(f"127.0.0.1:{server.port}") as opened,
    ):
        yield opened


async def failure(call: Any) -> grpc.aio.AioRpcError:
    """The error that the call, unary or streaming, must end with."""
    try:
        if isinstance(call, grpc.aio.UnaryUnaryCall):
            await call
        else:
            async for _ in call:
                pass
    except grpc.aio.AioRpcError as error:
        return error
    raise AssertionError("the call did not fail")
