"""Interceptor: what a handler raises becomes a status, and every call is counted.

An error of ours becomes its status; anything else is logged under an id and answered
INTERNAL with that id and nothing of what is inside. A request is parsed here, so that one
that cannot be is refused like any other (gRPC itself would answer UNKNOWN).
"""

from __future__ import annotations

import asyncio
import inspect
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, NoReturn

import grpc
import grpc.aio
import structlog
from prometheus_client import Counter, Histogram

from rekam_runtime.errors import RekamError
from rekam_runtime.rpc.parsing import parsed
from rekam_runtime.rpc.status import abort_with
from rekam_runtime.telemetry import LATENCY_BUCKETS_S

started = Counter("rekam_rpc_started", "Calls begun", ["method"])
handled = Counter("rekam_rpc_handled", "Calls ended, by status code", ["method", "code"])
seconds = Histogram("rekam_rpc_seconds", "Time to the end of a call", ["method"], buckets=LATENCY_BUCKETS_S)

Translate = Callable[[Exception], RekamError | None]
_Context = grpc.aio.ServicerContext[Any, Any]
_Parse = Callable[[Any], Any]
_log = structlog.get_logger(__name__)


class AnswersErrors(grpc.aio.ServerInterceptor):
    """translate: tells errors of a driver that are ours in other clothes (a lost connection)."""

    def __init__(self, translate: Translate | None = None) -> None:
        self._translate = translate or (lambda error: None)

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        handler: Any = await continuation(handler_call_details)
        if handler is None:
            return None  # gRPC answers UNIMPLEMENTED; an unknown name gets no counter
        method = handler_call_details.method
        kinds = {
            (False, False): ("unary_unary", grpc.unary_unary_rpc_method_handler),
            (False, True): ("unary_stream", grpc.unary_stream_rpc_method_handler),
            (True, False): ("stream_unary", grpc.stream_unary_rpc_method_handler),
            (True, True): ("stream_stream", grpc.stream_stream_rpc_method_handler),
        }
        attribute, build = kinds[handler.request_streaming, handler.response_streaming]
        call = getattr(handler, attribute)
        wrap = self._generator if inspect.isasyncgenfunction(call) else self._call
        parse, parsed_by_grpc = handler.request_deserializer, None
        if parse is None or handler.request_streaming:  # parsed by the handler, or by gRPC
            parse, parsed_by_grpc = _as_it_is, parse
        wrapped: grpc.RpcMethodHandler[Any, Any] = build(
            wrap(method, call, parse),
            request_deserializer=parsed_by_grpc,
            response_serializer=handler.response_serializer,
        )
        return wrapped

    def _call(
        self, method: str, call: Callable[[Any, _Context], Awaitable[Any]], parse: _Parse
    ) -> Callable[..., Any]:
        async def answer(request: Any, context: _Context) -> Any:
            with _Measured(method, context):
                try:
                    return await call(parsed(parse, request), context)
                except grpc.aio.AbortError:
                    raise
                except Exception as error:  # noqa: BLE001  # the last place that can answer
                    await self._abort(method, context, error)

        return answer

    def _generator(
        self, method: str, call: Callable[[Any, _Context], Any], parse: _Parse
    ) -> Callable[..., Any]:
        async def answers(request: Any, context: _Context) -> AsyncIterator[Any]:
            with _Measured(method, context):
                try:
                    async with aclosing(call(parsed(parse, request), context)) as responses:
                        async for response in responses:
                            yield response
                except grpc.aio.AbortError:
                    raise
                except Exception as error:  # noqa: BLE001  # the last place that can answer
                    await self._abort(method, context, error)

        return answers

    async def _abort(self, method: str, context: _Context, error: Exception) -> NoReturn:
        ours = error if isinstance(error, RekamError) else self._translate(error)
        if ours is not None:
            await abort_with(context, ours)
        fault_id = uuid.uuid4().hex[:12]
        _log.error("rpc.failed", method=method, fault_id=fault_id, exc_info=error)
        await context.abort(
            grpc.StatusCode.INTERNAL, f"internal error {fault_id}; the server's log says more"
        )


def _as_it_is(request: Any) -> Any:
    return request


class _Measured:
    """Counts a call from its begin to its end, however it ends."""

    def __init__(self, method: str, context: _Context) -> None:
        self._method = method
        self._context = context
        self._begin = time.perf_counter()

    def __enter__(self) -> None:
        started.labels(self._method).inc()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        seconds.labels(self._method).observe(time.perf_counter() - self._begin)
        handled.labels(self._method, self._code(kind)).inc()

    def _code(self, kind: type[BaseException] | None) -> str:
        if kind is not None and issubclass(kind, asyncio.CancelledError | GeneratorExit):
            return grpc.StatusCode.CANCELLED.name
        code: Any = self._context.code()  # set by abort; 0 or None for a call that went well
        if isinstance(code, grpc.StatusCode):
            return code.name
        return next((known.name for known in grpc.StatusCode if known.value[0] == (code or 0)), "UNKNOWN")
