"""A rebuild brings what its version's migrations make: an index, a column, a table."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from rekam_runtime.eventlog.memory import MemoryLog
from rekam_runtime.eventlog.port import Draft, Record, StreamSpec
from rekam_runtime.postgres import Connection, acquire, connect_pool, migrate, pinned
from rekam_runtime.process import beside
from rekam_runtime.projection import FreshReads, Projector, quarantine_stream
from rekam_runtime.projection.part import Part, Write
from rekam_runtime.rebuild import Plan, Rebuilder, requests
from rekam_runtime.rebuild.comparing import by_statement
from tests.contracts.test_projection import running, until

STREAM = "NOTES"
NOTES = "CREATE TABLE notes (position bigint PRIMARY KEY, text text NOT NULL);"
LENGTHS = "ALTER TABLE notes ADD COLUMN length int GENERATED ALWAYS AS (length(text)) STORED;"
Package = Callable[..., str]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Package]:
    """Makes a package with these migrations; called again, it has others."""
    monkeypatch.syspath_prepend(str(tmp_path))
    folder = tmp_path / "a_rebuilt_package"

    def make(*texts: str) -> str:
        migrations = folder / "migrations"
        migrations.mkdir(parents=True, exist_ok=True)
        (folder / "__init__.py").touch()
        for number, text in enumerate(texts, start=1):
            (migrations / f"{number:04}_notes.sql").write_text(text)
        return folder.name

    yield make
    sys.modules.pop(folder.name, None)


def prepare(records: Sequence[Record]) -> Write:
    rows = [(record.position, record.data.decode()) for record in records]

    async def write(connection: Connection) -> int:
        await connection.executemany("INSERT INTO notes (position, text) VALUES ($1, $2)", rows)
        return 0

    return write


async def nothing(_: Connection) -> None:
    pass


async def test_the_new_tables_have_what_the_old_ones_lack(database_url: str, package: Package) -> None:
    await migrate(database_url, package(NOTES))
    log = MemoryLog()
    await log.ensure(StreamSpec(STREAM, ("notes.>",)))
    await log.ensure(quarantine_stream("notes"))
    for text in ("one", "three"):
        await log.append(Draft("notes.a", text.encode(), uuid.uuid4().hex))
    compared = by_statement(
        "notes", "SELECT position::text, 1::bigint, hashtextextended(text, 0) FROM notes ORDER BY 1"
    )
    plan = Plan("notes", package(NOTES, LENGTHS), lambda: {STREAM: Part(prepare)}, [compared], nothing)
    async with await connect_pool(database_url, max_size=8, application_name="test") as pool:
        live = Projector(log, pool, stream=STREAM, service="notes", apply=Part(prepare).apply)
        async with running(live), FreshReads(log, pool) as fresh, beside(Rebuilder(log, pool, plan).run()):
            await fresh.caught_up([STREAM], 20)
            async with acquire(pool) as connection:
                await requests.start(connection, "test", accept_differences=False)

            async def ended() -> bool:
                async with acquire(pool) as connection:
                    return (await requests.find(connection)).ended

            await until(ended)
        async with pinned(pool) as connection:
            rows = await connection.fetch("SELECT length FROM notes ORDER BY position")
    assert [row["length"] for row in rows] == [3, 5]
    assert await migrate(database_url, plan.package) == []
