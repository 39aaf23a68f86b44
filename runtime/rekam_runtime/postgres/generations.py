"""Generations: a projection's tables, in a schema of their own each time they are built.

`public.projection_generation` says which one is active. A session looks that up before it reads
(`pinned`, `pin`), and sees that generation as long as it has the connection: a reader that is at it
while another becomes active stays wholly in the old one, which is kept for some minutes.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from rekam_runtime.errors import FailedPrecondition
from rekam_runtime.postgres.pool import Connection, Pool, acquire
from rekam_runtime.postgres.statements import Statements

_EXTENSION = re.compile(r"^CREATE EXTENSION IF NOT EXISTS (\w+);$", re.MULTILINE)
_statements = Statements.load("rekam_runtime.postgres", "generations.sql")


@dataclass(frozen=True, slots=True)
class Pinned:
    """The generation that a session sees. positions: how far its streams are, those asked for."""

    number: int
    positions: dict[str, int] = field(default_factory=dict)


def schema_of(number: int) -> str:
    return f"g{number}"


def path_of(number: int) -> str:
    """The search path on which a generation's tables are found; extensions lie in public."""
    return f"{schema_of(number)}, public"


@asynccontextmanager
async def pinned(pool: Pool) -> AsyncIterator[Connection]:
    """A connection that sees the active generation until it is given back."""
    async with acquire(pool) as connection:
        await pin(connection)
        yield connection


async def pin(connection: Connection, streams: Sequence[str] = ()) -> Pinned:
    """Make the session see the active generation; given back to its pool, it forgets that."""
    first, *rows = await connection.fetch(_statements.pin, list(streams))
    return Pinned(first["generation"], {row["stream"]: row["position"] for row in rows})


async def number_of(connection: Connection) -> int:
    """The generation that the session sees."""
    schema: str = await connection.fetchval("SELECT current_schema()")
    return int(schema.removeprefix("g"))


async def see(connection: Connection, number: int) -> None:
    """Make the session see this generation, active or not."""
    await connection.execute(_statements.see, path_of(number))


async def prepare(connection: Connection) -> list[int]:
    """Generations that migrations are for: the first one is made, or moved out of public."""
    await connection.execute(_statements.add_first)
    return [row["number"] for row in await connection.fetch(_statements.migrated)]


async def move_out_of_public(connection: Connection) -> None:
    """A database from before generations: its tables become the first one."""
    if await connection.fetchval(_statements.is_before_generations):
        await connection.execute(_statements.move_into_first)


async def add_extensions(connection: Connection, sql: str) -> None:
    """What a migration asks for, made in public, where all generations find it.

    Before the migration does: only a superuser could move it there afterwards.
    """
    for name in _EXTENSION.findall(sql):
        await connection.execute(f"CREATE EXTENSION IF NOT EXISTS {name} SCHEMA public")


async def see_by_default(connection: Connection, number: int) -> None:
    await connection.execute(await connection.fetchval(_statements.see_by_default, schema_of(number)))


async def add(connection: Connection) -> int:
    """A new generation, with an empty schema; its number."""
    number: int = await connection.fetchval(_statements.add)
    await connection.execute(f"CREATE SCHEMA {schema_of(number)}")
    return number


async def activate(connection: Connection, number: int) -> None:
    """Part of a transaction: readers that come after it see this generation."""
    await connection.execute(_statements.retire_active)
    if await connection.fetchval(_statements.activate, number) is None:
        raise FailedPrecondition(f"generation {number} is not being built")
    await see_by_default(connection, number)


async def drop(connection: Connection, number: int) -> None:
    """Remove a generation that is not active; part of a transaction."""
    if await connection.fetchval(_statements.drop, number) is None:
        raise FailedPrecondition(f"generation {number} is active")
    # Whoever is still in it ends first; it is tried again.
    await connection.execute("SET LOCAL lock_timeout = '1s'")
    await connection.execute(f"DROP SCHEMA IF EXISTS {schema_of(number)} CASCADE")


async def retired(connection: Connection, kept_s: float) -> list[int]:
    """Generations that nobody has been given for so long."""
    rows = await connection.fetch(_statements.retired_before, timedelta(seconds=kept_s))
    return [row["number"] for row in rows]


async def begin_filling(connection: Connection, number: int) -> None:
    """Nothing is vacuumed while a generation is being filled: nothing in it is updated or read."""
    for table in await _tables(connection, number):
        await connection.execute(
            f"ALTER TABLE {table} SET (autovacuum_enabled = off, toast.autovacuum_enabled = off)"
        )


async def end_filling(connection: Connection, number: int) -> None:
    """From now on it is kept as any table; and what the planner must know of it is known."""
    for table in await _tables(connection, number):
        await connection.execute(f"ALTER TABLE {table} RESET (autovacuum_enabled, toast.autovacuum_enabled)")
        await connection.execute(f"ANALYZE {table}")


async def _tables(connection: Connection, number: int) -> list[str]:
    return [row[0] for row in await connection.fetch(_statements.tables, schema_of(number))]
