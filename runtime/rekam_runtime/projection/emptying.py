"""Emptying the projection of a local stack whose log was emptied."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from rekam_runtime.errors import FailedPrecondition, Retry
from rekam_runtime.eventlog.port import EventLog
from rekam_runtime.postgres import Pool, Statements, pinned
from rekam_runtime.rebuild import requests

# Whoever reads several tables may hold one and wait for another.
_TRIES = 5
_statements = Statements.load("rekam_runtime.projection", "emptying.sql")


async def empty(pool: Pool, log: EventLog, streams: Iterable[str]) -> None:
    """Empty every table of the service and take the log's end as the position."""
    ends = [(stream, await log.last_position(stream)) for stream in sorted(streams)]
    for tries_left in reversed(range(_TRIES)):
        try:
            await _empty(pool, ends)
            return
        except Retry:
            if not tries_left:
                raise


async def _empty(pool: Pool, ends: Iterable[tuple[str, int]]) -> None:
    async with pinned(pool) as connection, connection.transaction():
        # What it has built is of a log that is gone.
        with suppress(FailedPrecondition):
            await requests.cancel(connection)
        for stream, end in ends:
            await connection.execute(_statements.take_position, stream, end)
        tables = [row[0] for row in await connection.fetch(_statements.tables)]
        await connection.execute(f"TRUNCATE {', '.join(tables)} RESTART IDENTITY")
