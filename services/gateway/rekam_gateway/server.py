"""The gateway as a process: from settings to a running server, and down again in order."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import structlog

from rekam_gateway import wiring
from rekam_gateway.http.app import build_app
from rekam_gateway.settings import Settings
from rekam_runtime.http import HttpServer
from rekam_runtime.ops import OpsServer, ops_routes
from rekam_runtime.process import settle, until
from rekam_runtime.rpc.server import build_server
from rekam_runtime.telemetry import configure_logging

# Every training process holds two streams, records and heartbeats; one that only waits takes
# some tens of KB.
MOST_CALLS = 20_000
# HTTP connections and requests at one time.
MOST_REQUESTS = 4_096

log = structlog.get_logger(__name__)


async def serve(settings: Settings, stop: asyncio.Event) -> None:
    """Take in, forward and answer until the stop."""
    configure_logging("gateway", "serve", settings.log_format, settings.log_level)
    async with AsyncExitStack() as parts:
        gateway = await parts.enter_async_context(wiring.connected(settings))

        async def reset() -> None:
            await gateway.drain("the stack is emptied: connect again")

        server = build_server(
            gateway.services,
            settings.grpc_listen,
            most_calls=MOST_CALLS,
            reuse_port=settings.reuse_port,
            drain=lambda: gateway.drain("the gateway stops: connect again"),
        )
        await parts.enter_async_context(server)
        again = reset if settings.local else None
        app = build_app(
            gateway.backend,
            ops_routes(gateway.readiness, again),
            hosts=settings.allowed_hosts,
            origins=settings.allowed_origins,
            prefix=settings.static_prefix,
        )
        http = HttpServer(
            app, settings.http_listen, reuse_port=settings.reuse_port, most_requests=MOST_REQUESTS
        )
        await parts.enter_async_context(http)
        if settings.ops_listen is not None:
            await parts.enter_async_context(OpsServer(settings.ops_listen, gateway.readiness, again))
        log.info("serving", grpc_port=server.port, http_port=http.port)
        settle()
        await until(stop, *gateway.work)
        log.info("stopping")
