"""The roles as processes: from settings to a running server, and down again in order."""

from __future__ import annotations

import asyncio

import structlog

from rekam_artifacts import wiring
from rekam_artifacts.events import SERVICE
from rekam_artifacts.settings import MigrateSettings, ProjectSettings, ServeSettings
from rekam_runtime.ops import OpsServer
from rekam_runtime.postgres import migrate as apply_migrations
from rekam_runtime.postgres import retry_of
from rekam_runtime.process import until
from rekam_runtime.rpc.server import build_server
from rekam_runtime.telemetry import configure_logging

_log = structlog.get_logger(__name__)


async def serve(settings: ServeSettings, stop: asyncio.Event) -> None:
    """Answer commands and queries until the stop."""
    configure_logging(SERVICE, "serve", settings.log_format, settings.log_level)
    async with (
        wiring.serving(settings) as role,
        build_server(role.served, settings.grpc_listen, translate=retry_of) as server,
        OpsServer(settings.ops_listen, role.missing, role.reset if settings.local else None) as ops,
    ):
        _log.info("serving", grpc_port=server.port, ops_port=ops.port)
        await stop.wait()
        _log.info("stopping")


async def project(settings: ProjectSettings, stop: asyncio.Event) -> None:
    """Apply events to Postgres, and collect, until the stop."""
    configure_logging(SERVICE, "project", settings.log_format, settings.log_level)
    async with (
        wiring.projecting(settings) as role,
        OpsServer(settings.ops_listen, role.missing, role.reset if settings.local else None) as ops,
    ):
        assert role.work is not None
        work = asyncio.create_task(role.work, name="projecting")
        try:
            _log.info("projecting", ops_port=ops.port)
            await until(stop, work)
            _log.info("stopping")
        finally:
            work.cancel()
            await asyncio.wait([work])


async def migrate(settings: MigrateSettings) -> None:
    """Bring the database to what this version expects."""
    configure_logging(SERVICE, "migrate", settings.log_format, settings.log_level)
    applied = await apply_migrations(settings.postgres_url.reveal(), "rekam_artifacts")
    _log.info("migrated", applied=applied)
