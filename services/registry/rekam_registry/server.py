"""What the roles do, from start to stop."""

from __future__ import annotations

import asyncio

import structlog

from rekam_registry.settings import MigrateSettings, ServeSettings
from rekam_registry.wiring import serving
from rekam_runtime import postgres
from rekam_runtime.ops import OpsServer
from rekam_runtime.rpc.server import build_server
from rekam_runtime.telemetry import configure_logging

_log = structlog.get_logger(__name__)


async def serve(settings: ServeSettings, stop: asyncio.Event) -> None:
    """gRPC and the ops port, until told to stop."""
    configure_logging("registry", "serve", settings.log_format, settings.log_level)
    async with (
        serving(settings) as role,
        build_server(role.services, settings.grpc_listen, translate=postgres.retry_of) as server,
        OpsServer(settings.ops_listen, role.missing, role.reset if settings.local else None) as ops,
    ):
        _log.info("serving", grpc_port=server.port, ops_port=ops.port)
        await stop.wait()


async def migrate(settings: MigrateSettings) -> None:
    """The database as this version expects it."""
    configure_logging("registry", "migrate", settings.log_format, settings.log_level)
    applied = await postgres.migrate(settings.postgres_url.reveal(), "rekam_registry")
    _log.info("migrated", applied=applied)
