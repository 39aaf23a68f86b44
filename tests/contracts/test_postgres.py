"""Pools and migrations on a real Postgres."""

from __future__ import annotations

import asyncio
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rekam_runtime.errors import FailedPrecondition, NotFound, Retry
from rekam_runtime.postgres import acquire, connect_pool, migrate, pending, retry_of
from rekam_runtime.postgres.pool import connect

Package = Callable[..., str]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Package]:
    """Makes a package with these migrations; called again, it has others."""
    monkeypatch.syspath_prepend(str(tmp_path))
    folder = tmp_path / "a_migrated_package"

    def make(**files: str) -> str:
        """m0001_one: a migration; s0001_one: one of what generations share."""
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "migrations").mkdir(parents=True)
        (folder / "__init__.py").touch()
        for name, text in files.items():
            within = folder / ("shared" if name.startswith("s") else "migrations")
            within.mkdir(exist_ok=True)
            (within / f"{name[1:]}.sql").write_text(text)
        return folder.name

    yield make
    sys.modules.pop(folder.name, None)


RUNTIME = ["0001_projection.sql", "0002_quarantine_decisions.sql"]
ONE = "CREATE TABLE one (id int PRIMARY KEY); INSERT INTO one VALUES (1);"
TWO = "ALTER TABLE one ADD COLUMN two text;"


async def test_migrations_are_applied_once_in_order(database_url: str, package: Package) -> None:
    assert await migrate(database_url, package(m0001_one=ONE)) == [*RUNTIME, "0001_one.sql"]
    assert await migrate(database_url, package(m0001_one=ONE)) == []
    assert await migrate(database_url, package(m0001_one=ONE, m0002_two=TWO)) == ["0002_two.sql"]
    connection = await connect(database_url, application_name="test")
    assert list(map(tuple, await connection.fetch("SELECT id, two FROM one"))) == [(1, None)]
    for table in ("projection_position", "quarantine"):
        assert await connection.fetchval(f"SELECT count(*) FROM {table}") == 0
    await connection.close()


async def test_what_is_pending_is_named_and_nothing_is_applied(database_url: str, package: Package) -> None:
    name = package(m0001_one=ONE, m0002_two=TWO)
    async with await connect_pool(database_url, application_name="test") as pool, acquire(pool) as connection:
        everything = [*RUNTIME, "0001_one.sql", "0002_two.sql"]
        assert await pending(connection, name) == everything
        assert await pending(connection, name) == everything
        await migrate(database_url, name)
        assert await pending(connection, name) == []


async def test_what_generations_share_is_made_once_beside_them(database_url: str, package: Package) -> None:
    await migrate(database_url, package(m0001_one=ONE))
    both = package(m0001_one=ONE, s0001_kept="CREATE TABLE kept (id int); INSERT INTO kept VALUES (7);")
    async with await connect_pool(database_url, application_name="test") as pool, acquire(pool) as connection:
        assert await pending(connection, both) == ["0001_kept.sql"]
        for _ in range(2):
            await migrate(database_url, both)
            assert await pending(connection, both) == []
        assert await connection.fetchval("SELECT id FROM public.kept") == 7
    changed = package(m0001_one=ONE, s0001_kept="CREATE TABLE kept (id bigint);")
    with pytest.raises(FailedPrecondition, match="was changed"):
        await migrate(database_url, changed)


async def test_concurrent_callers_apply_once(database_url: str, package: Package) -> None:
    name = package(m0001_one=ONE, m0002_two=TWO)
    applied = await asyncio.gather(*(migrate(database_url, name) for _ in range(8)))
    assert sorted(map(len, applied)) == [0] * 7 + [len(RUNTIME) + 2]


async def test_a_changed_migration_is_an_error(database_url: str, package: Package) -> None:
    await migrate(database_url, package(m0001_one=ONE))
    with pytest.raises(FailedPrecondition, match=r"0001_one\.sql was changed after it was applied"):
        await migrate(database_url, package(m0001_one=ONE + " ", m0002_two=TWO))


async def test_a_database_of_a_newer_version_is_an_error(database_url: str, package: Package) -> None:
    await migrate(database_url, package(m0001_one=ONE, m0002_two=TWO))
    with pytest.raises(FailedPrecondition, match=r"0002_two\.sql, which this version does not know"):
        await migrate(database_url, package(m0001_one=ONE))


async def test_a_migration_that_fails_leaves_nothing(database_url: str, package: Package) -> None:
    broken = package(m0001_one=ONE, m0002_two=f"{TWO} SELECT nothing FROM nowhere;")
    with pytest.raises(FailedPrecondition, match=r"0002_two\.sql cannot be applied: .*nowhere"):
        await migrate(database_url, broken)
    assert await migrate(database_url, package(m0001_one=ONE, m0002_two=TWO)) == ["0002_two.sql"]


@pytest.mark.parametrize("names", [["m0002_two"], ["m0001_one", "m0003_three"], ["mone"], ["m0001_One"]])
async def test_files_are_numbered_without_gaps(database_url: str, package: Package, names: list[str]) -> None:
    with pytest.raises(FailedPrecondition, match=r"expected 000\d_<name>\.sql in the place of"):
        await migrate(database_url, package(**dict.fromkeys(names, ONE)))


async def test_a_pool_keeps_bytes_and_says_who_it_is(database_url: str) -> None:
    async with (
        await connect_pool(database_url, application_name="rekam-test") as pool,
        acquire(pool) as connection,
    ):
        every_byte = bytes(range(256))
        assert await connection.fetchval("SELECT $1::bytea", every_byte) == every_byte
        assert await connection.fetchval("SHOW application_name") == "rekam-test"


async def test_a_connection_that_breaks_is_a_retry_and_the_pool_goes_on(database_url: str) -> None:
    async with await connect_pool(database_url, application_name="test", max_size=2) as pool:
        with pytest.raises(Retry):
            async with acquire(pool) as connection:
                await connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        async with acquire(pool) as connection:
            assert await connection.fetchval("SELECT 1") == 1


async def test_other_errors_pass_through_a_lent_connection(database_url: str) -> None:
    async with await connect_pool(database_url, application_name="test") as pool:
        with pytest.raises(NotFound):
            async with acquire(pool):
                raise NotFound("no such run")
        with pytest.raises(Exception, match="nowhere") as caught:
            async with acquire(pool) as connection:
                await connection.execute("SELECT * FROM nowhere")
    assert retry_of(caught.value) is None


async def test_a_server_that_is_not_there_is_waited_for_then_a_retry() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"postgresql://rekam:hunter2@127.0.0.1:{taken.getsockname()[1]}/rekam"
        with pytest.raises(Retry, match="cannot be reached within") as caught:
            await connect_pool(url, application_name="test", wait_s=0.2)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://postgres@127.0.0.1:{port}/no_such_database",
        "mysql://postgres:hunter2@127.0.0.1:{port}/x",
        "postgresql://postgres:hunter2@127.0.0.1:port/x",
    ],
)
async def test_an_address_that_is_wrong_is_told_at_once(database_url: str, url: str) -> None:
    port = database_url.rpartition(":")[2].partition("/")[0]
    with pytest.raises(FailedPrecondition, match="Postgres: ") as caught:
        await connect_pool(url.format(port=port), application_name="test", wait_s=600)
    assert "hunter2" not in str(caught.value)
