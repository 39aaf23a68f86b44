"""The roles as processes."""

from __future__ import annotations

import asyncio

from rekam_artifacts import wiring
from rekam_artifacts.events import SERVICE
from rekam_artifacts.plan import PACKAGE
from rekam_artifacts.settings import ProjectSettings, ServeSettings
from rekam_runtime import roles


async def serve(settings: ServeSettings, stop: asyncio.Event) -> None:
    """Answer commands and queries until the stop."""
    await roles.serve(SERVICE, settings, wiring.serving(settings), stop)


async def project(settings: ProjectSettings, stop: asyncio.Event) -> None:
    """Apply events to Postgres, and collect, until the stop."""
    await roles.project(SERVICE, settings, wiring.projecting(settings), stop)


async def migrate(settings: roles.MigrateSettings) -> None:
    """Bring the database to what this version expects."""
    await roles.migrate(SERVICE, settings, PACKAGE)
