"""Forwarding: calls of another service's methods, passed on as bytes, undecoded.

Deadline and metadata go one way; messages, status, details and trailing metadata come
back as the service sent them. Which methods there are, and which of them stream, is what
the descriptors say; methods that take a stream are not forwarded.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any, NoReturn

import grpc
import grpc.aio
from google.protobuf.descriptor import ServiceDescriptor

from rekam_runtime.errors import Unsupported

_Context = grpc.aio.ServicerContext[bytes, bytes]
Admit = Callable[[_Context], None]
# Of one connection, not of the call; the channel sends its own.
_HOP_KEYS = frozenset({"user-agent"})


class Forwarder(grpc.GenericRpcHandler):
    """Hands every call of the services to the channel.

    admit: called first; raises (an error of ours) when the caller may not.
    """

    def __init__(
        self, channel: grpc.aio.Channel, services: Iterable[ServiceDescriptor], admit: Admit | None = None
    ) -> None:
        self._admit: Admit = admit or (lambda context: None)
        self._handlers: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {}
        for service in services:
            for method in service.methods:
                if not method.client_streaming:
                    path = f"/{service.full_name}/{method.name}"
                    self._handlers[path] = self._handler(channel, path, method.server_streaming)

    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler[bytes, bytes] | None:
        return self._handlers.get(handler_call_details.method)

    def _handler(
        self, channel: grpc.aio.Channel, path: str, streaming: bool
    ) -> grpc.RpcMethodHandler[bytes, bytes]:
        if streaming:
            stream: grpc.aio.UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream(path)

            async def answers(request: bytes, context: _Context) -> AsyncIterator[bytes]:
                self._admit(context)
                call = stream(request, timeout=context.time_remaining(), metadata=_metadata(context))
                try:
                    async for response in call:
                        yield response
                    await _pass_trailing(call, context)
                except grpc.aio.AioRpcError as error:
                    await _pass_error(error, context)
                finally:
                    call.cancel()

            return grpc.unary_stream_rpc_method_handler(answers)

        unary: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(path)

        async def answer(request: bytes, context: _Context) -> bytes:
            self._admit(context)
            call = unary(request, timeout=context.time_remaining(), metadata=_metadata(context))
            try:
                response = await call
                await _pass_trailing(call, context)
            except grpc.aio.AioRpcError as error:
                await _pass_error(error, context)
            return response

        return grpc.unary_unary_rpc_method_handler(answer)


def loopback_only(context: _Context) -> None:
    """An `admit` for what only programs on this machine may call."""
    peer = context.peer()
    if not peer.startswith(("ipv4:127.", "ipv6:[::1]:", "ipv6:%5B::1%5D:", "unix:")):
        raise Unsupported("this is served to programs on the same machine only")


def _metadata(context: _Context) -> tuple[tuple[str, Any], ...]:
    return tuple(pair for pair in context.invocation_metadata() or () if pair[0] not in _HOP_KEYS)


async def _pass_trailing(call: Any, context: _Context) -> None:
    trailing = await call.trailing_metadata()
    if trailing:
        context.set_trailing_metadata(tuple(trailing))


async def _pass_error(error: grpc.aio.AioRpcError, context: _Context) -> NoReturn:
    trailing = tuple(error.trailing_metadata() or ())
    await context.abort(error.code(), error.details() or "", trailing)
