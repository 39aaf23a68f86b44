"""Generations: readers stay in theirs, writers follow the active one, old databases become the first."""

from __future__ import annotations

import importlib.resources
from collections.abc import AsyncIterator, Sequence

import asyncpg
import pytest

from rekam_runtime.errors import FailedPrecondition
from rekam_runtime.eventlog.memory import MemoryLog
from rekam_runtime.eventlog.port import Draft, Record, StreamSpec
from rekam_runtime.postgres import Connection, Pool, acquire, connect_pool, generations, migrate, pinned
from rekam_runtime.postgres.migrating import Migration, migrate_generation
from rekam_runtime.postgres.pool import connect
from rekam_runtime.projection import FreshReads, Projector, quarantine_stream
from tests.contracts.test_projection import running, until

PACKAGE = "tests.support.notes_projection"
STREAM = "NOTES"


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    await migrate(database_url, PACKAGE)
    opened = await connect_pool(database_url, max_size=6, application_name="generation tests")
    yield opened
    await opened.close()


async def built(pool: Pool, *texts: str) -> int:
    """A second generation with these notes."""
    async with acquire(pool) as connection:
        number = await generations.add(connection)
        await migrate_generation(connection, number, PACKAGE)
        await connection.executemany(
            "INSERT INTO notes (position, text) VALUES ($1, $2)", list(enumerate(texts, start=1))
        )
        await connection.execute("INSERT INTO projection_position VALUES ($1, $2)", STREAM, len(texts))
        return number


async def switch(pool: Pool, number: int) -> None:
    async with acquire(pool) as connection, connection.transaction():
        await generations.activate(connection, number)


async def texts(connection: Connection) -> list[str]:
    return [row["text"] for row in await connection.fetch("SELECT text FROM notes ORDER BY position")]


async def test_readers_stay_in_their_generation_and_the_next_see_the_new_one(
    pool: Pool, database_url: str
) -> None:
    await pool.execute("INSERT INTO notes (position, text) VALUES (1, 'old')")
    number = await built(pool, "new", "newer")
    async with pinned(pool) as before:
        assert await texts(before) == ["old"]
        await switch(pool, number)
        assert await texts(before) == ["old"]
        async with pinned(pool) as after:
            assert await texts(after) == ["new", "newer"]
        assert await texts(before) == ["old"]
    # The connection that was pinned to the old one is lent again.
    for _ in range(10):
        async with pinned(pool) as connection:
            assert await texts(connection) == ["new", "newer"]
    # A session that nobody pins, as psql's.
    session = await connect(database_url, application_name="psql")
    assert await texts(session) == ["new", "newer"]
    await session.close()


async def test_positions_are_those_of_the_active_generation(pool: Pool) -> None:
    number = await built(pool, "a", "b")
    async with acquire(pool) as connection:
        assert await generations.pin(connection, [STREAM]) == generations.Pinned(1)
        assert await generations.pin(connection) == generations.Pinned(1)
    await switch(pool, number)
    async with acquire(pool) as connection, FreshReads(MemoryLog(), pool) as fresh:
        assert (await generations.pin(connection, [STREAM])).positions == {STREAM: 2}
        assert await fresh.holds(connection, {STREAM: 2})
        assert await texts(connection) == ["a", "b"]


async def test_a_generation_is_dropped_and_its_number_not_used_again(pool: Pool) -> None:
    first = await built(pool, "a")
    async with acquire(pool) as connection:
        await generations.drop(connection, first)
        assert await connection.fetchval("SELECT to_regnamespace($1) IS NULL", generations.schema_of(first))
    assert await built(pool, "a") == first + 1
    async with acquire(pool) as connection:
        with pytest.raises(FailedPrecondition, match="generation 1 is active"):
            await generations.drop(connection, 1)
        with pytest.raises(FailedPrecondition, match="not being built"):
            await generations.activate(connection, first)


async def test_a_migration_comes_to_what_is_active_and_what_is_being_built(
    pool: Pool, database_url: str
) -> None:
    async with acquire(pool) as connection:
        number = await generations.add(connection)
    assert "0001_notes.sql" not in await migrate(database_url, PACKAGE)
    async with acquire(pool) as connection:
        await generations.see(connection, number)
        assert await texts(connection) == []


async def test_a_switch_makes_every_projector_start_over(pool: Pool) -> None:
    """What a projector remembers of rows (ids) is of the generation that it wrote them in."""
    log = MemoryLog()
    await log.ensure(StreamSpec(STREAM, ("notes.>",)))
    await log.ensure(quarantine_stream("notes"))
    remembered: list[str] = []
    forgotten: list[list[str]] = []

    async def write(connection: Connection, records: Sequence[Record]) -> None:
        remembered.extend(record.data.decode() for record in records)
        await connection.executemany(
            "INSERT INTO notes (position, text) VALUES ($1, $2)",
            [(record.position, record.data.decode()) for record in records],
        )

    def forget() -> None:
        forgotten.append(remembered.copy())
        remembered.clear()

    async def append(text: str) -> None:
        await log.append(Draft("notes.a", text.encode(), text))

    async def has(*wanted: str) -> None:
        async def there() -> bool:
            async with pinned(pool) as connection:
                return await texts(connection) == list(wanted)

        await until(there)

    projector = Projector(log, pool, stream=STREAM, service="notes", apply=write, rolled_back=forget)
    async with running(projector):
        await append("one")
        await has("one")
        number = await built(pool, "rebuilt")
        await switch(pool, number)
        await append("two")
        await has("rebuilt", "two")
    assert forgotten[0] == ["one"]
    async with acquire(pool) as connection:
        await generations.see(connection, 1)
        assert await texts(connection) == ["one"]


async def test_a_database_from_before_generations_becomes_the_first(database_url: str) -> None:
    await _migrate_as_before(database_url)
    connection = await connect(database_url, application_name="test")
    await connection.execute("INSERT INTO tags VALUES (gen_random_uuid(), 'k', 'text')")
    await connection.execute("INSERT INTO projection_position VALUES ('REKAM_TRACKING', 7)")
    await connection.close()

    applied = await migrate(database_url, "rekam_tracking")
    assert not {"0001_projection.sql", "0001_experiments_and_runs.sql", "0002_metrics.sql"} & set(applied)
    assert await migrate(database_url, "rekam_tracking") == []

    connection = await connect(database_url, application_name="test")
    assert await connection.fetchval("SELECT value FROM tags WHERE value LIKE '%ex%'") == "text"
    pinned_to = await generations.pin(connection, ["REKAM_TRACKING"])
    assert pinned_to == generations.Pinned(1, {"REKAM_TRACKING": 7})
    left = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
    assert "tags" not in {row["tablename"] for row in left}
    where = "SELECT extnamespace::regnamespace::text FROM pg_extension WHERE extname = 'pg_trgm'"
    assert await connection.fetchval(where) == "public"
    assert await connection.fetchval("SELECT greatest_values('{1}', '{2}')") == [2.0]
    await connection.close()


async def _migrate_as_before(database_url: str) -> None:
    """The migrations of the time, applied as they were then: in public."""
    connection: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(database_url)
    await connection.execute(
        'CREATE TABLE schema_migrations (source text COLLATE "C" NOT NULL, number int NOT NULL,'
        " name text NOT NULL, checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now(),"
        " PRIMARY KEY (source, number))"
    )
    for source, names in {
        "rekam_runtime.postgres": ["0001_projection.sql"],
        "rekam_tracking": ["0001_experiments_and_runs.sql", "0002_metrics.sql"],
    }.items():
        for number, name in enumerate(names, start=1):
            text = importlib.resources.files(source).joinpath("migrations", name).read_text("utf-8")
            await connection.execute(text)
            await connection.execute(
                "INSERT INTO schema_migrations VALUES ($1, $2, $3, $4)",
                source,
                number,
                name,
                Migration(source, number, name, text).checksum,
            )
    await connection.close()
