"""The operations routes of a process: health, readiness, figures; in a local stack, reset.

GET /health   200 `OK` while the loop turns
GET /ready    200, or 503 with what is not ready
GET /metrics  Prometheus
POST /reset   only with a reset callable: forget everything; answered to this machine's programs
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Awaitable, Callable, Sequence

from prometheus_client import REGISTRY
from prometheus_client.exposition import choose_encoder
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from rekam_runtime.errors import RekamError
from rekam_runtime.hosts import HostCheck
from rekam_runtime.http import HttpServer
from rekam_runtime.settings import HostPort

# What is not ready, as text; an empty list means ready.
Readiness = Callable[[], Awaitable[list[str]]]
Reset = Callable[[], Awaitable[None]]
# A part that does not answer is not ready; a probe does not wait for ever.
_READINESS_TIMEOUT_S = 3.0


def ops_routes(readiness: Readiness, reset: Reset | None = None) -> list[Route]:
    """reset: given only in a local stack."""
    routes = [Route("/health", _health), Route("/ready", _ready(readiness)), Route("/metrics", _metrics)]
    if reset is not None:
        routes.append(Route("/reset", _reset(reset), methods=["POST"]))
    return routes


class OpsServer(HttpServer):
    """A port for the operations routes alone.

    reset: given only in a local stack.
    routes: further routes of the process's own.
    allowed_hosts: patterns of Host headers beyond loopback and private addresses.
    """

    def __init__(
        self,
        listen: HostPort,
        readiness: Readiness,
        reset: Reset | None = None,
        routes: Sequence[BaseRoute] = (),
        allowed_hosts: Sequence[str] = (),
    ) -> None:
        middleware = [Middleware(HostCheck, patterns=allowed_hosts)]
        super().__init__(
            Starlette(routes=[*ops_routes(readiness, reset), *routes], middleware=middleware), listen
        )


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
