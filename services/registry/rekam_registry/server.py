"""The roles as processes."""

from __future__ import annotations

import asyncio

from rekam_registry import wiring
from rekam_registry.events import SERVICE
from rekam_registry.plan import PACKAGE
from rekam_registry.settings import ProjectSettings, ServeSettings
from rekam_runtime import roles

# A watcher is a call that lasts.
MOST_CALLS = 20_000


async def serve(settings: ServeSettings, stop: asyncio.Event) -> None:
    """Answer commands and queries until the stop."""
    await roles.serve(SERVICE, settings, wiring.serving(settings), stop, most_calls=MOST_CALLS)


async def project(settings: ProjectSettings, stop: asyncio.Event) -> None:
    """Apply events to Postgres until the stop."""
    await roles.project(SERVICE, settings, wiring.projecting(settings), stop)


async def migrate(settings: roles.MigrateSettings) -> None:
    """Bring the database to what this version expects."""
    await roles.migrate(SERVICE, settings, PACKAGE)
