"""Roles as processes: from settings to a running server, and down again in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import structlog

from rekam_runtime import postgres
from rekam_runtime.ops import OpsServer
from rekam_runtime.process import settle, until
from rekam_runtime.projection.leases import Work
from rekam_runtime.roles.role import Role
from rekam_runtime.roles.settings import MigrateSettings, RoleSettings, ServeSettings
from rekam_runtime.rpc.server import MOST_CALLS, build_server
from rekam_runtime.telemetry import configure_logging

_log = structlog.get_logger(__name__)

Connected = AbstractAsyncContextManager[Role]


async def serve(
    service: str,
    settings: ServeSettings,
    connected: Connected,
    stop: asyncio.Event,
    *,
    most_calls: int = MOST_CALLS,
) -> None:
    """Answer commands and queries until the stop."""
    configure_logging(service, "serve", settings.log_format, settings.log_level)
    async with (
        connected as role,
        build_server(
            role.services,
            settings.grpc_listen,
            translate=postgres.retry_of,
            most_calls=most_calls,
            drain=role.drain,
        ) as server,
        _operated(settings, role) as ops,
        _at_work(role.work) as work,
    ):
        settle()
        _log.info("serving", grpc_port=server.port, ops_port=ops.port)
        await until(stop, *work)
        _log.info("stopping")


async def project(service: str, settings: RoleSettings, connected: Connected, stop: asyncio.Event) -> None:
    """Apply events to Postgres, and what else the role does, until the stop."""
    configure_logging(service, "project", settings.log_format, settings.log_level)
    async with connected as role, _operated(settings, role) as ops, _at_work(role.work) as work:
        settle()
        _log.info("projecting", ops_port=ops.port)
        await until(stop, *work)
        _log.info("stopping")


async def migrate(service: str, settings: MigrateSettings, package: str) -> None:
    """Bring the database to what this version expects; package: where the migrations are."""
    configure_logging(service, "migrate", settings.log_format, settings.log_level)
    applied = await postgres.migrate(settings.postgres_url.reveal(), package)
    _log.info("migrated", applied=applied)


def _operated(settings: RoleSettings, role: Role) -> OpsServer:
    return OpsServer(settings.ops_listen, role.missing, role.reset if settings.local else None)


@asynccontextmanager
async def _at_work(work: Mapping[str, Work]) -> AsyncIterator[list[asyncio.Task[None]]]:
    tasks = [asyncio.create_task(one(), name=name) for name, one in work.items()]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
