"""Calls that several services serve, each for itself: handed on by the service that a request names."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import grpc
import grpc.aio

from rekam_proto.log.v1.log_pb2 import Addressed
from rekam_runtime.errors import NotFound
from rekam_runtime.rpc.forward import Forwarder
from rekam_runtime.rpc.parsing import parsed

_Context = grpc.aio.ServicerContext[bytes, bytes]


class ByService(grpc.GenericRpcHandler):
    """One forwarder for each service, by its name."""

    def __init__(self, forwarders: Mapping[str, Forwarder]) -> None:
        self._forwarders = dict(forwarders)

    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler[bytes, bytes] | None:
        handlers: dict[str, Any] = {}
        for name, forwarder in self._forwarders.items():
            handler = forwarder.service(handler_call_details)
            if handler is None:
                return None
            handlers[name] = handler
        if next(iter(handlers.values())).response_streaming:

            async def answers(request: bytes, context: _Context) -> AsyncIterator[bytes]:
                async for response in _named(handlers, request).unary_stream(request, context):
                    yield response

            return grpc.unary_stream_rpc_method_handler(answers)

        async def answer(request: bytes, context: _Context) -> bytes:
            response: bytes = await _named(handlers, request).unary_unary(request, context)
            return response

        return grpc.unary_unary_rpc_method_handler(answer)


def _named(handlers: Mapping[str, Any], request: bytes) -> Any:
    name = parsed(Addressed.FromString, request).service
    if name not in handlers:
        known = ", ".join(sorted(handlers))
        raise NotFound(f"no service {name!r} serves this; it is one of: {known}", field="service")
    return handlers[name]
