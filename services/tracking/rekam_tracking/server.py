"""The roles as processes: from settings to a running server, and down again in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from rekam_runtime.ops import OpsServer
from rekam_runtime.postgres import migrate as apply_migrations
from rekam_runtime.postgres import retry_of
from rekam_runtime.process import until
from rekam_runtime.rpc.server import build_server
from rekam_runtime.telemetry import configure_logging
from rekam_tracking import wiring
from rekam_tracking.events import SERVICE
from rekam_tracking.settings import MigrateSettings, ProjectSettings, ServeSettings

logger = structlog.get_logger(__name__)


async def serve(settings: ServeSettings, stop: asyncio.Event) -> None:
    """Answer commands and queries until the stop."""
    configure_logging(SERVICE, "serve", settings.log_format, settings.log_level)
    async with (
        wiring.serving(settings) as role,
        build_server(role.services, settings.grpc_listen, translate=retry_of) as server,
        OpsServer(settings.ops_listen, role.readiness, role.reset if settings.local else None),
    ):
        logger.info("serving", port=server.port)
        await stop.wait()
        logger.info("stopping")


async def project(settings: ProjectSettings, stop: asyncio.Event) -> None:
    """Apply events to Postgres until the stop."""
    configure_logging(SERVICE, "project", settings.log_format, settings.log_level)
    async with (
        wiring.projecting(settings) as role,
        OpsServer(settings.ops_listen, role.readiness, role.reset if settings.local else None),
        _at_work(role) as work,
    ):
        logger.info("projecting")
        await until(stop, work)
        logger.info("stopping")


async def migrate(settings: MigrateSettings) -> None:
    """Bring the database to what this version expects."""
    configure_logging(SERVICE, "migrate", settings.log_format, settings.log_level)
    applied = await apply_migrations(settings.postgres_url.reveal(), "rekam_tracking")
    logger.info("migrated", applied=applied)


@asynccontextmanager
async def _at_work(role: wiring.Role) -> AsyncIterator[asyncio.Task[None]]:
    assert role.work is not None
    task = asyncio.create_task(role.work, name="projecting")
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])
