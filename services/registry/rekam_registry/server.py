"""The roles as processes: from settings to a running server, and down again in order."""

from __future__ import annotations

import asyncio

import structlog

from rekam_registry import wiring
from rekam_registry.events import SERVICE
from rekam_registry.plan import PACKAGE
from rekam_registry.settings import MigrateSettings, ProjectSettings, ServeSettings
from rekam_runtime import postgres
from rekam_runtime.ops import OpsServer
from rekam_runtime.process import until
from rekam_runtime.rpc.server import build_server
from rekam_runtime.telemetry import configure_logging

_log = structlog.get_logger(__name__)


async def serve(settings: ServeSettings, stop: asyncio.Event) -> None:
    """Answer commands and queries until the stop."""
    configure_logging(SERVICE, "serve", settings.log_format, settings.log_level)
    async with (
        wiring.serving(settings) as role,
        build_server(role.services, settings.grpc_listen, translate=postgres.retry_of) as server,
        OpsServer(settings.ops_listen, role.missing, role.reset if settings.local else None) as ops,
    ):
        _log.info("serving", grpc_port=server.port, ops_port=ops.port)
        await stop.wait()
        _log.info("stopping")


async def project(settings: ProjectSettings, stop: asyncio.Event) -> None:
    """Apply events to Postgres until the stop."""
    configure_logging(SERVICE, "project", settings.log_format, settings.log_level)
    async with (
        wiring.projecting(settings) as role,
        OpsServer(settings.ops_listen, role.missing, role.reset if settings.local else None),
    ):
        assert role.work is not None
        work = asyncio.create_task(role.work, name="projecting")
        try:
            _log.info("projecting")
            await until(stop, work)
            _log.info("stopping")
        finally:
            work.cancel()
            await asyncio.wait([work])


async def migrate(settings: MigrateSettings) -> None:
    """The database as this version expects it."""
    configure_logging(SERVICE, "migrate", settings.log_format, settings.log_level)
    applied = await postgres.migrate(settings.postgres_url.reveal(), PACKAGE)
    _log.info("migrated", applied=applied)
