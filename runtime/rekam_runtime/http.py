"""An HTTP port inside the process's own loop."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from rekam_runtime.errors import FailedPrecondition
from rekam_runtime.settings import HostPort

# Of a request's line and headers.
MAX_HEAD_BYTES = 64 * 1024
HEAD_S = 30.0
# Longer than clients keep a connection that they do not use: theirs is the end that closes it.
_KEEP_ALIVE_S = 75


class HttpServer:
    """Serves the app between entering and leaving.

    reuse_port: share the port with other processes that do.
    most_requests: at one time; one more is answered 503.
    """

    def __init__(
        self, app: ASGIApp, listen: HostPort, *, reuse_port: bool = False, most_requests: int | None = None
    ) -> None:
        self._listen = listen
        self._reuse_port = reuse_port
        self._server = _Server(
            uvicorn.Config(
                app,
                http=_BoundedHead,
                timeout_keep_alive=_KEEP_ALIVE_S,
                log_config=None,
                access_log=False,
                lifespan="off",
                server_header=False,
                # Whoever stands in front may not name another client.
                proxy_headers=False,
                limit_concurrency=most_requests,
                timeout_graceful_shutdown=2,
            )
        )
        self._serving: asyncio.Task[None] | None = None
        self.port = 0

    async def __aenter__(self) -> Self:
        # Bound here: uvicorn answers a port that is taken by ending the process.
        bound = _bind(self._listen, self._reuse_port)
        self.port = bound.getsockname()[1]
        self._serving = asyncio.create_task(self._server.serve([bound]), name=f"HTTP {self._listen}")
        listening = asyncio.create_task(self._server.listening.wait())
        await asyncio.wait({self._serving, listening}, return_when=asyncio.FIRST_COMPLETED)
        listening.cancel()
        if self._serving.done():
            self._serving.result()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        if self._serving is not None:
            await self._serving


class _Server(uvicorn.Server):
    """Leaves the signals to the process, and says when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()


class _BoundedHead(HttpToolsProtocol):
    """Does not wait, nor take memory, for a request's head without end; bodies are the app's to bound."""

    _head_bytes = 0
    _in_head = True
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect_head()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._expect_head()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self.send_400_response(f"A request's head has at most {MAX_HEAD_BYTES} bytes.")

    def on_headers_complete(self) -> None:
        self._leave_head()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._leave_head()
        super().connection_lost(exc)

    def _expect_head(self) -> None:
        self._leave_head()
        self._head_bytes, self._in_head = 0, True
        self._deadline = self.loop.call_later(HEAD_S, self.transport.close)

    def _leave_head(self) -> None:
        self._in_head = False
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def _bind(listen: HostPort, reuse_port: bool) -> socket.socket:
    family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
    bound = socket.socket(family)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.bind((listen.host, listen.port))
    except OSError as error:
        bound.close()
        raise FailedPrecondition(f"cannot listen for HTTP on {listen}: {error.strerror}") from error
    return bound
