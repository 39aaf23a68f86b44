"""Leases: each piece of work is done by one replica, spread evenly, and taken over within moments."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import pytest

from rekam_runtime.errors import NotFound
from rekam_runtime.postgres import Pool, connect_pool, migrate
from rekam_runtime.projection import Replica
from rekam_runtime.projection.leases import Work
from tests.contracts.test_projection import until

PACKAGE = "tests.support.notes_projection"
NAMES = ["a", "b", "c", "d"]


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    await migrate(database_url, PACKAGE)
    opened = await connect_pool(database_url, max_size=8, application_name="lease tests")
    yield opened
    await opened.close()


async def forever() -> None:
    await asyncio.Event().wait()


def works(*names: str) -> dict[str, Work]:
    return dict.fromkeys(names, forever)


@asynccontextmanager
async def sharing(pool: Pool, *names: str) -> AsyncIterator[Replica]:
    replica = Replica("lease tests")
    task = asyncio.create_task(replica.share(pool, works(*names)))
    try:
        await until(lambda: replica.attending)
        yield replica
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_work_is_spread_and_nobody_does_what_another_does(pool: Pool) -> None:
    async with sharing(pool, *NAMES) as first:
        await until(lambda: first.held == set(NAMES))
        async with sharing(pool, *NAMES) as second:
            await until(
                lambda: len(first.held) == len(second.held) == 2 and first.held | second.held == set(NAMES)
            )
        await until(lambda: first.held == set(NAMES))


async def test_more_replicas_than_work_stand_by_and_are_ready(pool: Pool) -> None:
    async with AsyncExitStack() as stack:
        replicas = [await stack.enter_async_context(sharing(pool, "a")) for _ in range(3)]
        await until(lambda: sorted(len(replica.held) for replica in replicas) == [0, 0, 1])
        await until(lambda: all(replica.attending for replica in replicas))


async def test_work_that_fails_is_told(pool: Pool) -> None:
    async def fails() -> None:
        raise NotFound("no such stream")

    with pytest.raises(NotFound, match="no such stream"):
        await Replica("lease tests").share(pool, {"a": fails})


HANGING = """
import asyncio, sys
from rekam_runtime.postgres import acquire, connect_pool
from rekam_runtime.projection import Replica

async def main(url):
    replica = Replica("lease tests")
    pool = await connect_pool(url, application_name=replica.application_name)

    async def work():
        async with acquire(pool) as connection, connection.transaction():
            await connection.execute("INSERT INTO projection_position VALUES ('S', 1)")
            print("locked", file=sys.stderr, flush=True)
            await asyncio.Event().wait()

    await replica.share(pool, {"S": work})

asyncio.run(main(sys.argv[1]))
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "hangs"])
async def test_what_a_replica_left_is_taken_over_with_its_locks(
    pool: Pool, database_url: str, number: signal.Signals
) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HANGING, database_url, stderr=asyncio.subprocess.PIPE
    )
    try:
        assert process.stderr is not None
        assert await process.stderr.readline() == b"locked\n"
        async with sharing(pool, "S") as standby:
            assert standby.held == set()
            os.kill(process.pid, number)
            await until(lambda: standby.held == {"S"})
            # The row that it had locked in an open transaction.
            async with asyncio.timeout(20):
                await pool.execute("INSERT INTO projection_position VALUES ('S', 1)")
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
