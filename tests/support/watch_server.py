"""A real gRPC server whose answers to Watch a test writes: for tests of who watches."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self

import grpc

from rekam_proto.registry.v1 import watch_pb2

_DEADLINE_S = 30.0


class WatchCall:
    """One call, told response by response."""

    def __init__(self, request: watch_pb2.WatchRequest) -> None:
        self.request = request
        self._told: queue.SimpleQueue[watch_pb2.WatchResponse | grpc.StatusCode] = queue.SimpleQueue()

    def tell(self, *responses: watch_pb2.WatchResponse) -> None:
        for response in responses:
            self._told.put(response)

    def end(self, code: grpc.StatusCode) -> None:
        self._told.put(code)

    def answers(self, context: grpc.ServicerContext) -> Iterator[watch_pb2.WatchResponse]:
        while True:
            told = self._told.get()
            if isinstance(told, grpc.StatusCode):
                context.abort(told, "as the test wants it")
            else:
                yield told


class WatchServer:
    """calls: those that came, in order, to be answered by the test."""

    def __init__(self) -> None:
        self._calls: queue.SimpleQueue[WatchCall] = queue.SimpleQueue()
        self._open: list[WatchCall] = []
        self._server = grpc.server(
            ThreadPoolExecutor(16, thread_name_prefix="watch-server"), options=[("grpc.so_reuseport", 0)]
        )
        watch = grpc.unary_stream_rpc_method_handler(
            self._watch, watch_pb2.WatchRequest.FromString, watch_pb2.WatchResponse.SerializeToString
        )
        self._server.add_generic_rpc_handlers(
            [grpc.method_handlers_generic_handler("rekam_proto.registry.v1.WatchService", {"Watch": watch})]
        )
        self.uri = f"grpc://127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def next_call(self) -> WatchCall:
        return self._calls.get(timeout=_DEADLINE_S)

    def _watch(
        self, request: watch_pb2.WatchRequest, context: grpc.ServicerContext
    ) -> Iterator[watch_pb2.WatchResponse]:
        call = WatchCall(request)
        self._open.append(call)
        # Its thread is free again when the other side is gone.
        context.add_callback(lambda: call.end(grpc.StatusCode.CANCELLED))
        self._calls.put(call)
        yield from call.answers(context)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for call in self._open:
            call.end(grpc.StatusCode.UNAVAILABLE)
        self._server.stop(grace=0).wait()
