"""Migrations: numbered .sql files, each applied once, in order, in its own transaction.

A package keeps them in its folder `migrations/` as `NNNN_name.sql`, from 0001 without
gaps. The runtime's own (the tables every projection needs) come first. What was applied is
recorded with a checksum: a file that was changed afterwards is an error, not a surprise.

They are applied within a generation (`generations`), which has its own record of them: to the
active one, and to one that is being built. What all generations share, in schema public, comes from
folders `shared/`: the runtime's, and the package's if it has one.
"""

from __future__ import annotations

import hashlib
import importlib.resources
import re
from dataclasses import dataclass

import asyncpg
import structlog

from rekam_runtime.errors import FailedPrecondition
from rekam_runtime.postgres import generations
from rekam_runtime.postgres.pool import Connection, connect
from rekam_runtime.postgres.statements import Statements

_FILE = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")
_RUNTIME = "rekam_runtime.postgres"
_SHARED = "shared"
_statements = Statements.load("rekam_runtime.postgres", "migrating.sql")
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Migration:
    """One file; source is the package it comes from."""

    source: str
    number: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


async def migrate(url: str, package: str, *, wait_s: float = 15.0) -> list[str]:
    """Apply what is missing; answers the names applied. Any number of callers, any time."""
    connection = await connect(url, application_name=f"{package} migrate", wait_s=wait_s)
    applied: list[str] = []
    try:
        await connection.execute(_statements.lock)
        await generations.move_out_of_public(connection)
        await connection.execute(_statements.see_public)
        await connection.execute(_statements.create_ledger)
        for source in (_RUNTIME, package):
            for migration in await _missing(connection, source, _read(source, _SHARED)):
                await _apply(connection, migration)
        for number in await generations.prepare(connection):
            applied = await migrate_generation(connection, number, package)
        await generations.see_by_default(connection, number)
    finally:
        await connection.close()
    return applied


async def migrate_generation(connection: Connection, number: int, package: str) -> list[str]:
    """Apply what one generation is missing; the session sees that generation afterwards."""
    await connection.execute(_statements.lock)
    await connection.execute(_statements.create_schema.format(generations.schema_of(number)))
    await generations.see(connection, number)
    await connection.execute(_statements.create_ledger)
    missing = [
        *await _missing(connection, _RUNTIME, _read(_RUNTIME)),
        *await _missing(connection, package, _read(package)),
    ]
    for migration in missing:
        await _apply(connection, migration)
    return [migration.name for migration in missing]


async def pending(connection: Connection, package: str) -> list[str]:
    """Names of what `migrate` would apply, to the active generation and beside it; for readiness."""
    shared, runtime, own = _read(package, _SHARED), _read(_RUNTIME), _read(package)
    if await connection.fetchval(_statements.has_generations):
        await connection.execute(_statements.see_public)
        shared = await _missing(connection, package, shared)
        await generations.pin(connection)
        runtime = await _missing(connection, _RUNTIME, runtime)
        own = await _missing(connection, package, own)
    return [migration.name for migration in (*shared, *runtime, *own)]


def _read(package: str, name_of_folder: str = "migrations") -> list[Migration]:
    folder = importlib.resources.files(package).joinpath(name_of_folder)
    if name_of_folder == _SHARED and not folder.is_dir():
        return []
    names = sorted(file.name for file in folder.iterdir() if file.name.endswith(".sql"))
    for number, name in enumerate(names, start=1):
        match = _FILE.fullmatch(name)
        if match is None or int(match[1]) != number:
            raise FailedPrecondition(
                f"migrations of {package}: expected {number:04}_<name>.sql in the place of {name}"
            )
    return [
        Migration(package, number, name, folder.joinpath(name).read_text("utf-8"))
        for number, name in enumerate(names, start=1)
    ]


async def _missing(connection: Connection, source: str, all_known: list[Migration]) -> list[Migration]:
    """Migrations of one source that the ledger lacks, having checked those it has."""
    known = {migration.number: migration for migration in all_known}
    for row in await connection.fetch(_statements.applied, source):
        migration = known.pop(row["number"], None)
        if migration is None:
            raise FailedPrecondition(
                f"migrations of {source}: the database has {row['name']}, which this version does not know: "
                "it was migrated by a newer one"
            )
        if migration.checksum != row["checksum"]:
            raise FailedPrecondition(
                f"migrations of {source}: {migration.name} was changed after it was applied; "
                "restore it and write a new migration"
            )
    return list(known.values())


async def _apply(connection: Connection, migration: Migration) -> None:
    try:
        async with connection.transaction():
            await generations.add_extensions(connection, migration.sql)
            await connection.execute(migration.sql)
            await connection.execute(
                _statements.record, migration.source, migration.number, migration.name, migration.checksum
            )
    except asyncpg.PostgresError as error:
        raise FailedPrecondition(
            f"migration {migration.source}/{migration.name} cannot be applied: {error}"
        ) from error
    _log.info("migration.applied", source=migration.source, name=migration.name)
