"""What a projection promises: each record's effect exactly once, whatever happens in between.

On a real Postgres and the in-memory log; the last tests run on JetStream.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import pytest
from prometheus_client import REGISTRY

from rekam_runtime.errors import DeadlineExceeded, NotFound, Quarantine
from rekam_runtime.eventlog.jetstream import JetStreamLog
from rekam_runtime.eventlog.memory import MemoryLog
from rekam_runtime.eventlog.port import Draft, EventLog, Record, StreamSpec
from rekam_runtime.postgres import Connection, Pool, connect_pool, migrate
from rekam_runtime.projection import BatchLimits, FreshReads, Projector, quarantine_stream, signals
from tests.support.nats import NatsServer
from tests.support.postgres import PostgresServer

pytestmark = pytest.mark.asyncio

STREAM = "NOTES"


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    await migrate(database_url, "tests.support.notes_projection")
    opened = await connect_pool(database_url, max_size=6, application_name="projection tests")
    yield opened
    await opened.close()


async def prepared(log: EventLog) -> EventLog:
    await log.ensure(StreamSpec(STREAM, ("notes.>",)))
    await log.ensure(quarantine_stream("notes"))
    return log


@pytest.fixture
async def log() -> EventLog:
    return await prepared(MemoryLog())


async def write(connection: Connection, records: Sequence[Record]) -> None:
    """Text to a row; refuses what is not UTF-8, and the table refuses 'forbidden'."""
    rows = []
    for record in records:
        try:
            rows.append((record.position, record.data.decode()))
        except UnicodeDecodeError as error:
            raise Quarantine(f"not a text: {error}") from error
    await connection.executemany("INSERT INTO notes (position, text) VALUES ($1, $2)", rows)


async def append(log: EventLog, *texts: str | bytes) -> None:
    for text in texts:
        data = text.encode() if isinstance(text, str) else text
        await log.append(Draft("notes.a", data, uuid.uuid4().hex))


def projector(log: EventLog, pool: Pool, **options: object) -> Projector:
    options = {"stream": STREAM, "service": "notes", "apply": write, **options}
    return Projector(log, pool, **options)  # type: ignore[arg-type]


@asynccontextmanager
async def running(*projectors: Projector) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(one.run()) for one in projectors]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        done, _ = await asyncio.wait(tasks)
        for task in done:
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error


async def until(condition: Callable[[], object], deadline_s: float = 20) -> None:
    """Ask again until it is so."""
    async with asyncio.timeout(deadline_s):
        while True:
            answer = condition()
            if await answer if asyncio.iscoroutine(answer) else answer:
                return
            await asyncio.sleep(0.005)


async def position(pool: Pool) -> int:
    found = await pool.fetchval("SELECT position FROM projection_position WHERE stream = $1", STREAM)
    return found or 0


async def projected(pool: Pool, target: int) -> None:
    async def there() -> bool:
        return await position(pool) >= target

    await until(there)


async def notes(pool: Pool) -> list[tuple[int, str]]:
    rows = await pool.fetch("SELECT position, text FROM notes ORDER BY position, text")
    return [(row["position"], row["text"]) for row in rows]


def metric(name: str) -> float:
    return REGISTRY.get_sample_value(name, {"stream": STREAM}) or 0.0


def numbered(first: int, last: int) -> list[tuple[int, str]]:
    return [(number, f"n{number}") for number in range(first, last + 1)]


# Exactly once.


async def test_what_is_there_and_what_comes_is_projected_once(log: EventLog, pool: Pool) -> None:
    await append(log, *(f"n{n}" for n in range(1, 51)))
    async with running(projector(log, pool)):
        await projected(pool, 50)
        await append(log, *(f"n{n}" for n in range(51, 101)))
        await projected(pool, 100)
    assert await notes(pool) == numbered(1, 100)


async def test_a_new_projector_goes_on_where_the_last_one_was(log: EventLog, pool: Pool) -> None:
    for until_now in (10, 20, 30):
        await append(log, *(f"n{n}" for n in range(until_now - 9, until_now + 1)))
        async with running(projector(log, pool)):
            await projected(pool, until_now)
    assert await notes(pool) == numbered(1, 30)


async def test_a_death_between_commit_and_acknowledgement_repeats_nothing(log: EventLog, pool: Pool) -> None:
    await append(log, *(f"n{n}" for n in range(1, 11)))
    committed = asyncio.Event()

    class DiesAfterCommit(MemoryLog):
        """Hangs for ever where the acknowledgement would be told."""

        async def publish_signal(self, name: str, data: bytes) -> None:
            committed.set()
            await asyncio.Event().wait()

    dying = DiesAfterCommit()
    dying.__dict__.update(log.__dict__)
    async with running(projector(dying, pool)):
        async with asyncio.timeout(20):
            await committed.wait()
    await append(log, "n11")
    async with running(projector(log, pool)):
        await projected(pool, 11)
    assert await notes(pool) == numbered(1, 11)


async def test_cancelled_at_any_moment_it_loses_and_repeats_nothing(log: EventLog, pool: Pool) -> None:
    await append(log, *(f"n{n}" for n in range(1, 201)))
    small = BatchLimits(max_records=7)
    for moment in range(1, 13):
        task = asyncio.create_task(projector(log, pool, limits=small).run())
        for _ in range(moment * 5):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
    async with running(projector(log, pool, limits=small)):
        await projected(pool, 200)
    assert await notes(pool) == numbered(1, 200)


async def test_two_projectors_of_one_stream_do_not_repeat_each_other(log: EventLog, pool: Pool) -> None:
    small = BatchLimits(max_records=5)
    async with running(projector(log, pool, limits=small), projector(log, pool, limits=small)):
        for first in range(1, 300, 20):
            await append(log, *(f"n{n}" for n in range(first, first + 20)))
            await asyncio.sleep(0)
        await projected(pool, 300)
    assert await notes(pool) == numbered(1, 300)


async def test_a_position_moved_by_others_is_taken_up(log: EventLog, pool: Pool) -> None:
    await append(log, "n1", "n2")
    async with running(projector(log, pool)):
        await projected(pool, 2)
        # As a reset does: the log is purged, tables emptied, the position set to the log's last.
        await append(log, "lost")
        await projected(pool, 3)
        last = await log.purge(STREAM)
        async with pool.acquire() as connection, connection.transaction():
            await connection.execute("TRUNCATE notes")
            await connection.execute("UPDATE projection_position SET position = $1", last)
        await append(log, "n4", "n5")
        await projected(pool, 5)
    assert await notes(pool) == numbered(4, 5)


async def test_a_lost_connection_is_tried_again(log: EventLog, pool: Pool) -> None:
    await append(log, *(f"n{n}" for n in range(1, 11)))
    attempts = 0

    async def write_and_die(connection: Connection, records: Sequence[Record]) -> None:
        nonlocal attempts
        await write(connection, records)
        attempts += 1
        if attempts <= 2:
            await connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    async with running(projector(log, pool, apply=write_and_die)):
        await projected(pool, 10)
    assert attempts == 3
    assert await notes(pool) == numbered(1, 10)
    assert await pool.fetchval("SELECT count(*) FROM quarantine") == 0


async def test_without_the_stream_it_ends_and_says_so(pool: Pool) -> None:
    with pytest.raises(NotFound, match=STREAM):
        await projector(MemoryLog(), pool).run()


# Poison.


@pytest.mark.parametrize("count", [1, 2, 50])
@pytest.mark.parametrize("poison", [b"\xff", b"forbidden", b"nul \0"], ids=["refused", "constraint", "nul"])
async def test_a_poison_record_is_set_aside_and_the_rest_goes_on(
    log: EventLog, pool: Pool, count: int, poison: bytes
) -> None:
    at = count // 2 + 1
    texts: list[str | bytes] = [f"n{n}" for n in range(1, count + 1)]
    texts[at - 1] = poison
    await append(log, *texts)
    async with running(projector(log, pool)):
        await projected(pool, count)
    assert await notes(pool) == [note for note in numbered(1, count) if note[0] != at]
    row = await pool.fetchrow("SELECT stream, position, subject, reason, data FROM quarantine")
    assert row is not None
    assert (row["stream"], row["position"], row["subject"], row["data"]) == (STREAM, at, "notes.a", poison)
    assert row["reason"]
    (copy,) = await log.read("REKAM_NOTES_QUARANTINE", "rekam.quarantine.notes.>")
    assert copy.subject == f"rekam.quarantine.notes.{STREAM}.{at}"
    assert copy.data == poison


async def test_many_poison_records_are_all_set_aside(log: EventLog, pool: Pool) -> None:
    bad = {1, 2, 17, 40, 64}
    counted = metric("rekam_projection_quarantined_total")
    await append(log, *("forbidden" if n in bad else f"n{n}" for n in range(1, 65)))

    async def are_counted() -> bool:
        # After they are committed, and seen.
        position = metric("rekam_projection_position")
        return (position, metric("rekam_projection_quarantined_total")) == (64, counted + len(bad))

    async with running(projector(log, pool)):
        await projected(pool, 64)
        await until(are_counted)
    assert await notes(pool) == [note for note in numbered(1, 64) if note[0] not in bad]
    rows = await pool.fetch("SELECT position FROM quarantine ORDER BY position")
    assert {row["position"] for row in rows} == bad


async def test_what_was_rolled_back_is_forgotten(log: EventLog, pool: Pool) -> None:
    remembered: set[int] = set()
    committed: list[set[int]] = []

    async def write_and_remember(connection: Connection, records: Sequence[Record]) -> None:
        remembered.update(record.position for record in records)
        await write(connection, records)

    def forget() -> None:
        committed.append(set(remembered))
        remembered.clear()

    await append(log, "n1", "forbidden", "n3")
    async with running(projector(log, pool, apply=write_and_remember, rolled_back=forget)):
        await projected(pool, 3)
    assert committed, "the first attempt was rolled back"
    assert 2 not in remembered


async def test_a_missing_table_is_nobodys_poison(log: EventLog, pool: Pool) -> None:
    await append(log, "n1")
    await pool.execute("ALTER TABLE notes RENAME TO elsewhere")
    with pytest.raises(Exception, match="notes"):
        await projector(log, pool).run()
    assert await position(pool) == 0
    assert await pool.fetchval("SELECT count(*) FROM quarantine") == 0


# Strong reads.


async def test_a_strong_read_sees_what_was_acknowledged(log: EventLog, pool: Pool) -> None:
    async with FreshReads(log, pool) as fresh, running(projector(log, pool)):
        for number in range(1, 21):
            await append(log, f"n{number}")
            await fresh.caught_up([STREAM], 20)
            assert await notes(pool) == numbered(1, number)
            assert fresh.at_once({STREAM: number})


async def test_a_strong_read_nudges_a_projector_that_gathers(log: EventLog, pool: Pool) -> None:
    # As long as it is written to without a break, this projector would gather for ever.
    patient = BatchLimits(max_wait_s=3600, idle_s=5)

    async def write_without_a_break() -> None:
        while True:
            await append(log, "n")
            await asyncio.sleep(0.002)

    async with FreshReads(log, pool) as fresh, running(projector(log, pool, limits=patient)):
        writing = asyncio.create_task(write_without_a_break())
        try:
            for _ in range(3):
                last = await log.last_position(STREAM)
                await fresh.wait_for({STREAM: last + 1}, 20)
                assert len(await notes(pool)) > last
        finally:
            writing.cancel()


async def test_many_readers_wait_for_different_positions(log: EventLog, pool: Pool) -> None:
    async with FreshReads(log, pool) as fresh:
        readers = [asyncio.create_task(fresh.wait_for({STREAM: n}, 20)) for n in range(1, 41)]
        await append(log, *(f"n{n}" for n in range(1, 41)))
        async with running(projector(log, pool, limits=BatchLimits(max_records=3))):
            await asyncio.gather(*readers)
    assert await notes(pool) == numbered(1, 40)


async def test_a_position_that_is_there_is_seen_without_any_signal(log: EventLog, pool: Pool) -> None:
    await append(log, "n1", "n2")
    async with running(projector(log, pool)):
        await projected(pool, 2)
    # Nobody projects any more: only the table can tell.
    async with FreshReads(log, pool) as fresh:
        assert not fresh.at_once({STREAM: 2})
        await fresh.wait_for({STREAM: 2}, 20)
        assert fresh.at_once({STREAM: 2})


async def test_a_position_that_moves_between_the_look_and_the_wait_is_seen(log: EventLog, pool: Pool) -> None:
    async with FreshReads(log, pool) as fresh, running(projector(log, pool)):
        await append(log, "a")
        await fresh.caught_up([STREAM], 20)
        # Heard by the listener after wait_for has looked, before its waiters run.
        await log.publish_signal(signals.projected(STREAM), signals.encode(7))
        await fresh.wait_for({STREAM: 7}, 20)


async def test_a_position_that_a_crash_took_back_is_waited_for_again(log: EventLog, pool: Pool) -> None:
    await append(log, "a", "b")
    async with running(projector(log, pool)), FreshReads(log, pool) as fresh:
        targets = await fresh.caught_up([STREAM], 20)
        async with pool.acquire() as connection:
            assert await fresh.holds(connection, targets)
    async with FreshReads(log, pool) as fresh:
        await fresh.wait_for(targets, 20)
        async with pool.acquire() as connection:
            await connection.execute("UPDATE projection_position SET position = 1 WHERE stream = $1", STREAM)
            await connection.execute("DELETE FROM notes WHERE position > 1")
            assert not await fresh.holds(connection, targets)
            async with running(projector(log, pool)):
                await fresh.wait_for(targets, 20)
                assert await fresh.holds(connection, targets)


async def test_a_projection_that_stays_behind_is_said_with_both_positions(log: EventLog, pool: Pool) -> None:
    await append(log, "n1", "n2")
    async with running(projector(log, pool)):
        await projected(pool, 2)
    async with FreshReads(log, pool) as fresh:
        with pytest.raises(DeadlineExceeded, match=f"{STREAM} is at 2, the read needs 7"):
            await fresh.wait_for({STREAM: 7}, 0.2)


# On JetStream.


async def test_the_whole_path_on_jetstream(pool: Pool, mortal_nats_server: NatsServer) -> None:
    server = mortal_nats_server
    log = await prepared(await JetStreamLog.connect(server.url, "projection tests"))
    async with (
        FreshReads(log, pool) as fresh,
        running(projector(log, pool, limits=BatchLimits(max_records=20)), projector(log, pool)),
    ):
        await append(log, *(f"n{n}" for n in range(1, 101)))
        await fresh.caught_up([STREAM], 20)
        server.kill()
        await asyncio.to_thread(server.start)
        await append(log, *(f"n{n}" for n in range(101, 151)))
        await fresh.caught_up([STREAM], 30)
    assert await notes(pool) == numbered(1, 150)
    await log.close()


async def test_a_postgres_that_restarts_is_waited_for(
    log: EventLog, pool: Pool, postgres_server: PostgresServer
) -> None:
    async with running(projector(log, pool)):
        await append(log, "n1")
        await projected(pool, 1)
        await asyncio.to_thread(postgres_server.stop)
        await append(log, "n2")
        await asyncio.to_thread(postgres_server.start)

        async def there() -> bool:
            try:
                return await position(pool) >= 2
            except OSError:
                return False

        await until(there)
    assert await notes(pool) == numbered(1, 2)
