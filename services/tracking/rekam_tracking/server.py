"""The roles as processes."""

from __future__ import annotations

import asyncio

from rekam_runtime import roles
from rekam_tracking import wiring
from rekam_tracking.events import SERVICE
from rekam_tracking.plan import PACKAGE
from rekam_tracking.settings import ProjectSettings, ServeSettings


async def serve(settings: ServeSettings, stop: asyncio.Event) -> None:
    """Answer commands and queries until the stop."""
    await roles.serve(SERVICE, settings, wiring.serving(settings), stop)


async def project(settings: ProjectSettings, stop: asyncio.Event) -> None:
    """Apply events to Postgres until the stop."""
    await roles.project(SERVICE, settings, wiring.projecting(settings), stop)


async def migrate(settings: roles.MigrateSettings) -> None:
    """Bring the database to what this version expects."""
    await roles.migrate(SERVICE, settings, PACKAGE)
