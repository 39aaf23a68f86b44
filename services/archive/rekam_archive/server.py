"""The role as a process: from settings to a running server, and down again in order."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress

import structlog

from rekam_archive.settings import Settings
from rekam_archive.wiring import archiving
from rekam_runtime.ops import OpsServer
from rekam_runtime.process import settle, until
from rekam_runtime.rpc.server import build_server
from rekam_runtime.telemetry import configure_logging

# Compressing takes a core; whoever takes points in on the same machine goes first.
_NICENESS = 10

_log = structlog.get_logger(__name__)


async def archive(settings: Settings, stop: asyncio.Event) -> None:
    """Archive until told to stop; a segment that is not stored then is begun anew at the next start."""
    configure_logging("archive", "archive", settings.log_format, settings.log_level)
    os.nice(_NICENESS)
    async with (
        archiving(settings) as role,
        build_server(role.services, settings.grpc_listen) as server,
        OpsServer(settings.ops_listen, role.missing, role.archiver.forget if settings.local else None) as ops,
    ):
        _log.info("archiving", grpc_port=server.port, ops_port=ops.port)
        work = asyncio.create_task(role.archiver.run(), name="archiver")
        try:
            settle()
            await until(stop, work)
        finally:
            work.cancel()
            with suppress(asyncio.CancelledError):
                await work
