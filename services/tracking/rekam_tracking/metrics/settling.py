"""Settling: latest values of runs that have ended, from one row per key set to one per key.

Search reads both (docs/adr/0002); the settled rows are indexed, the live ones are few.
"""

from __future__ import annotations

from datetime import timedelta

from rekam_runtime.postgres import Connection, Statements

_statements = Statements.load("rekam_tracking.metrics", "settling.sql")
# About as many values in one transaction; a single row may have more.
MAX_VALUES = 50_000
# A run that was not written for so long is settled too; when it goes on, it is live again.
QUIET = timedelta(minutes=10)


async def settle(connection: Connection, max_values: int = MAX_VALUES, quiet: timedelta = QUIET) -> int:
    """Settle some of what is due, in one transaction; answers how many live rows it took."""
    taken: int = await connection.fetchval(_statements.settle, max_values, quiet)
    return taken
