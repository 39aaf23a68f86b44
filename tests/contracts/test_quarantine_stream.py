"""The stream of what was set aside has each record once, however late it is set aside again."""

from __future__ import annotations

import uuid

import pytest

from rekam_runtime.eventlog.jetstream import JetStreamLog
from rekam_runtime.eventlog.jetstream.connection import Connection
from rekam_runtime.eventlog.port import Draft, Record
from rekam_runtime.postgres import acquire, connect_pool, migrate, pinned
from rekam_runtime.projection import quarantine_stream
from rekam_runtime.projection.quarantine import Poison, set_aside
from tests.contracts.test_projection import until
from tests.support.nats import NatsServer


@pytest.fixture
def service() -> str:
    return f"s{uuid.uuid4().hex}"


async def test_also_when_the_log_has_forgotten_its_id(
    nats_server: NatsServer, database_url: str, service: str
) -> None:
    await migrate(database_url, "tests.support.notes_projection")
    log = await JetStreamLog.connect(nats_server.url, "quarantine tests")
    spec = quarantine_stream(service)
    await log.ensure(spec)
    await _forget_soon(nats_server, spec.name)
    poison = Poison(Record(7, "notes.a", b"x"), "a reason")

    async def aside() -> None:
        async with pinned(pool) as connection, connection.transaction():
            await set_aside(connection, log, service, "NOTES", [poison])

    async def forgotten() -> bool:
        """Whether an id is taken again: the window has passed."""
        probe = Draft(f"rekam.quarantine.{service}.probe", b"", "probe")
        return await log.append(probe) > first

    async with await connect_pool(database_url, application_name="quarantine tests") as pool:
        await aside()
        first = await log.append(Draft(f"rekam.quarantine.{service}.probe", b"", "probe"))
        await until(forgotten)
        await aside()
        async with acquire(pool) as connection:
            assert await connection.fetchval("SELECT count(*) FROM quarantine") == 1
    assert len(await log.read(spec.name, f"rekam.quarantine.{service}.NOTES.7")) == 1
    await log.close()


async def _forget_soon(server: NatsServer, stream: str) -> None:
    connection = await Connection.open(server.url, "quarantine tests", 10)
    config = {
        "name": stream,
        "subjects": [f"rekam.quarantine.{stream.split('_')[1].lower()}.>"],
        "duplicate_window": 100_000_000,
        "discard": "new",
        "allow_direct": True,
        "allow_atomic": True,
        "max_msg_size": 1024 * 1024,
    }
    await connection.api(f"STREAM.UPDATE.{stream}", config)
    await connection.close()
