"""A gateway before the real one that carries out every command, and loses its first answer."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

_CALLS = 32


class LossyGateway(grpc.GenericRpcHandler):
    """Unary calls of any method, passed on as bytes.

    Of each method the first answer is thrown away and the client told UNAVAILABLE: what a
    server that is killed between carrying a request out and answering it looks like.
    """

    def __init__(self, target: str) -> None:
        self.calls: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._channel = grpc.insecure_channel(target, options=[("grpc.enable_http_proxy", 0)])
        self._server = grpc.server(
            ThreadPoolExecutor(_CALLS, thread_name_prefix="lossy-gateway"),
            handlers=[self],
            options=[("grpc.so_reuseport", 0)],
        )
        self.uri = f"grpc://127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def stop(self) -> None:
        self._server.stop(grace=None).wait(5)
        self._channel.close()

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes]:
        path = str(handler_call_details.method)
        method: Callable[..., bytes] = self._channel.unary_unary(path)

        def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
            with self._lock:
                self.calls[path.rpartition("/")[2]] += 1
                lost = self.calls[path.rpartition("/")[2]] == 1
            try:
                found = method(request, timeout=20)
            except grpc.RpcError as error:
                trailing: Any = error.trailing_metadata() or ()
                context.set_trailing_metadata(tuple(trailing))
                context.abort(error.code(), error.details() or "")
            if lost:
                context.abort(grpc.StatusCode.UNAVAILABLE, "the answer is lost")
            return found

        return grpc.unary_unary_rpc_method_handler(answer)
