"""The operations port of a process: health, readiness, figures; in a local stack, reset.

GET /health   200 `OK` while the loop turns
GET /ready    200, or 503 with what is not ready
GET /metrics  Prometheus
POST /reset   only with a reset callable: forget everything; answered to this machine's programs
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager

import uvicorn
from prometheus_client import REGISTRY
from prometheus_client.exposition import choose_encoder
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from rekam_runtime.errors import FailedPrecondition, RekamError
from rekam_runtime.hosts import HostCheck
from rekam_runtime.settings import HostPort

# What is not ready, as text; an empty list means ready.
Readiness = Callable[[], Awaitable[list[str]]]
Reset = Callable[[], Awaitable[None]]
# A part that does not answer is not ready; a probe does not wait for ever.
_READINESS_TIMEOUT_S = 3.0


class OpsServer:
    """Serves the port inside the process's own loop; `async with` it.

    reset: given only in a local stack.
    routes: further routes of the process's own.
    allowed_hosts: patterns of Host headers beyond loopback and private addresses.
    reuse_port: share the port with other processes that do.
    """

    def __init__(
        self,
        listen: HostPort,
        readiness: Readiness,
        reset: Reset | None = None,
        routes: Sequence[BaseRoute] = (),
        allowed_hosts: Sequence[str] = (),
        reuse_port: bool = False,
    ) -> None:
        own = [Route("/health", _health), Route("/ready", _ready(readiness)), Route("/metrics", _metrics)]
        if reset is not None:
            own.append(Route("/reset", _reset(reset), methods=["POST"]))
        app = Starlette(routes=[*own, *routes], middleware=[Middleware(HostCheck, patterns=allowed_hosts)])
        self._listen = listen
        self._reuse_port = reuse_port
        self._server = _Server(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                lifespan="off",
                server_header=False,
                # Whoever stands in front may not name another client.
                proxy_headers=False,
                timeout_graceful_shutdown=2,
            )
        )
        self._serving: asyncio.Task[None] | None = None
        self.port = 0

    async def __aenter__(self) -> OpsServer:
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

    async def __aexit__(self, *_: object) -> None:
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


async def _health(_: Request) -> Response:
    return PlainTextResponse("OK")


async def _metrics(request: Request) -> Response:
    try:
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
    except (ValueError, TypeError):  # asks for a version that is no number
        encode, content_type = choose_encoder("")
    return Response(encode(REGISTRY), headers={"content-type": content_type})


def _ready(readiness: Readiness) -> Callable[[Request], Awaitable[Response]]:
    async def ready(_: Request) -> Response:
        try:
            async with asyncio.timeout(_READINESS_TIMEOUT_S):
                missing = await readiness()
        except TimeoutError:
            missing = [f"no answer within {_READINESS_TIMEOUT_S:g} s"]
        except RekamError as error:
            missing = [error.message]
        return JSONResponse({"ready": not missing, "missing": missing}, 503 if missing else 200)

    return ready


def _reset(reset: Reset) -> Callable[[Request], Awaitable[Response]]:
    one_at_a_time = asyncio.Lock()

    async def answer(request: Request) -> Response:
        client = request.client
        if client is None or not ipaddress.ip_address(client.host).is_loopback:
            return JSONResponse({"message": "reset is served to programs on the same machine only"}, 403)
        # A browser names the page that asks; a page of another site must not empty the stack.
        if "origin" in request.headers:
            return JSONResponse({"message": "reset is not served to web pages"}, 403)
        async with one_at_a_time:
            try:
                await reset()
            except RekamError as error:
                return JSONResponse({"message": error.message}, 503)
        return JSONResponse({})

    return answer
