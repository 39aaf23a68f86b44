"""The roles as processes: from settings to a running server, and down again in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

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

# A watcher is a call that lasts.
MOST_CALLS = 20_000

_log = structlog.get_logger(__name__)


async def serve(settings: ServeSettings, stop: asyncio.Event) -> None:
    """Answer commands and queries until the stop."""
    configure_logging(SERVICE, "serve", settings.log_format, settings.log_level)
    async with (
        wiring.serving(settings) as role,
        build_server(
            role.services,
            settings.grpc_listen,
            translate=postgres.retry_of,
            most_calls=MOST_CALLS,
            drain=role.drain,
        ) as server,
        OpsServer(settings.ops_listen, role.missing, role.reset if settings.local else None) as ops,
        _at_work(role, "following") as work,
    ):
        _log.info("serving", grpc_port=server.port, ops_port=ops.port)
        await until(stop, work)
        _log.info("stopping")


async def project(settings: ProjectSettings, stop: asyncio.Event) -> None:
    """Apply events to Postgres until the stop."""
    configure_logging(SERVICE, "project", settings.log_format, settings.log_level)
    async with (
        wiring.projecting(settings) as role,
        OpsServer(settings.ops_listen, role.missing, role.reset if settings.local else None),
        _at_work(role, "projecting") as work,
    ):
        _log.info("projecting")
        await until(stop, work)
        _log.info("stopping")


async def migrate(settings: MigrateSettings) -> None:
    """The database as this version expects it."""
    configure_logging(SERVICE, "migrate", settings.log_format, settings.log_level)
    applied = await postgres.migrate(settings.postgres_url.reveal(), PACKAGE)
    _log.info("migrated", applied=applied)


@asynccontextmanager
async def _at_work(role: wiring.Role, name: str) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(role.work, name=name)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])
