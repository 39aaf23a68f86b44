"""Rebuild: from the log beside the tables that are read, compared, and switched to."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from rekam_proto.event.v1.envelope_pb2 import Envelope
from rekam_runtime.errors import AlreadyExists, FailedPrecondition
from rekam_runtime.eventlog.envelope import Cause, draft, wrap
from rekam_runtime.eventlog.memory import MemoryLog
from rekam_runtime.eventlog.port import Draft, EventLog
from rekam_runtime.eventlog.shards import points_stream, points_streams
from rekam_runtime.operating.quarantine import Quarantined
from rekam_runtime.postgres import Pool, acquire, connect_pool, generations, migrate, pinned
from rekam_runtime.postgres.migrating import migrate_generation
from rekam_runtime.projection import FreshReads, Projector, quarantine_stream
from rekam_runtime.rebuild import Rebuilder, requests
from rekam_runtime.rebuild.requests import Standing
from rekam_tracking import events
from rekam_tracking.metrics import upkeep
from rekam_tracking.plan import parts, plan
from tests.contracts.test_projection import running, until
from tests.support.metrics import Row, SentFrame, record, stored
from tests.support.tracking import Replica

POINTS = points_stream(0)
KEYS = ("loss", "acc")


@dataclass
class Tracking:
    """A log, its live projection, and a rebuilder."""

    log: EventLog
    pool: Pool
    replica: Replica
    retired_kept_s: float = 300.0

    @property
    def rebuilder(self) -> Rebuilder:
        return Rebuilder(self.log, self.pool, plan(1), retired_kept_s=self.retired_kept_s)

    @property
    def quarantined(self) -> Quarantined:
        return Quarantined(self.pool, lambda: parts(1))

    async def append_points(self, *frames: SentFrame, key_sets: Sequence[Sequence[str]] = (KEYS,)) -> None:
        data = record(map(stored, frames), key_sets).data
        await self.log.append(Draft("rekam.points.0", data, uuid.uuid4().hex))

    async def append_poison(self) -> tuple[str, int]:
        """An event that this version does not know; where it is."""
        envelope = wrap(Envelope(), Cause("test"), aggregate="x")
        at = await self.log.append(draft("rekam.tracking.run.poison", envelope))
        return events.STREAM, at

    async def caught_up(self) -> None:
        async with FreshReads(self.log, self.pool) as fresh:
            await fresh.caught_up([events.STREAM, POINTS], 20)

    async def start(self, *, accept_differences: bool = False) -> int:
        async with acquire(self.pool) as connection:
            return await requests.start(connection, "ada", accept_differences=accept_differences)

    async def standing(self) -> Standing:
        async with acquire(self.pool) as connection:
            return await requests.find(connection)

    async def ended(self) -> Standing:
        async def has() -> bool:
            return (await self.standing()).ended

        await until(has, 60)
        return await self.standing()

    async def rebuilt(self, *, accept_differences: bool = False) -> Standing:
        await self.start(accept_differences=accept_differences)
        async with at_work(self.rebuilder):
            return await self.ended()

    async def generation(self) -> int:
        async with acquire(self.pool) as connection:
            return (await generations.pin(connection)).number

    async def schemas(self) -> list[str]:
        rows = await self.pool.fetch("SELECT nspname FROM pg_namespace WHERE nspname ~ '^g[0-9]+$'")
        return sorted(row["nspname"] for row in rows)


@asynccontextmanager
async def at_work(rebuilder: Rebuilder) -> AsyncIterator[None]:
    task = asyncio.create_task(rebuilder.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled():
            task.result()


@pytest.fixture
async def tracking(database_url: str) -> AsyncIterator[Tracking]:
    await migrate(database_url, "rekam_tracking")
    pool = await connect_pool(database_url, max_size=12, application_name="rebuild tests")
    log = MemoryLog()
    for spec in (events.control_stream(), quarantine_stream(events.SERVICE), *points_streams(1)):
        await log.ensure(spec)
    live = [
        Projector(log, pool, stream=name, service=events.SERVICE, apply=part.apply, rolled_back=part.forget)
        for name, part in parts(1).items()
    ]
    async with running(*live):
        yield Tracking(log, pool, await Replica.start(log))
    await pool.close()


def frame(run_id: str, sequence: int, first: int = 0, rows: int = 5, writer: str = "w") -> SentFrame:
    made = tuple(Row(first + n, 1_000_000 + n, (n * 0.5, -n * 0.25)) for n in range(rows))
    return SentFrame(run_id, KEYS, sequence, made, writer)


async def filled(tracking: Tracking) -> str:
    """Some of everything; the id of a run with points."""
    run = await tracking.replica.run(experiment_name="prices", params={"lr": "0.1"}, tags={"team": "a"})
    other = await tracking.replica.run(name="other")
    for number in range(1, 6):
        await tracking.append_points(frame(run.run_id, number, 5 * number), frame(other.run_id, number))
    await tracking.append_points(frame(run.run_id, 3))  # sent again
    await tracking.append_points(frame(run.run_id, 1, writer="v"))
    await tracking.replica.finish(other.run_id)
    await tracking.caught_up()
    return run.run_id


async def test_a_rebuild_equals_what_is_read_and_takes_its_place(tracking: Tracking) -> None:
    run_id = await filled(tracking)
    standing = await tracking.rebuilt()
    assert (standing.row["state"], standing.row["message"]) == ("done", "")
    assert await tracking.generation() == 2
    counts = {row["stream"]: (row["records"], row["points"]) for row in standing.streams}
    assert counts[POINTS] == (7, 11 * 5 * 2)
    # And goes on from there: also what the live projectors remember of ids is of the new tables.
    await tracking.append_points(frame(run_id, 6, 100))
    await tracking.caught_up()
    async with pinned(tracking.pool) as connection:
        assert await connection.fetchval("SELECT sum(points) FROM writers") == 120
        assert await connection.fetchval("SELECT count(*) FROM metric_chunks WHERE key_set_id = 1")
    assert (await tracking.rebuilt()).row["state"] == "done"
    assert await tracking.generation() == 3


async def test_merged_and_settled_points_compare_as_equal(tracking: Tracking) -> None:
    run_id = await filled(tracking)
    await tracking.append_points(frame(run_id, 6, 100))
    await tracking.caught_up()
    async with pinned(tracking.pool) as connection:
        await connection.execute("UPDATE run_key_sets SET changed_at = now() - interval '1 hour'")
    assert await upkeep.compact(tracking.pool)
    async with pinned(tracking.pool) as connection:
        assert await connection.fetchval("SELECT count(*) FROM metric_chunks WHERE codec = 1")
    assert (await tracking.rebuilt()).row["state"] == "done"


@pytest.mark.parametrize(
    ("damage", "table"),
    [
        ("UPDATE tags SET value = 'b' WHERE key = 'team'", "tags"),
        ("DELETE FROM params", "params"),
        ("UPDATE experiments SET name = 'x' WHERE name = 'prices'", "experiments"),
        ("UPDATE runs SET status = 5 WHERE name = 'other'", "runs"),
        ("UPDATE writers SET received = received - '{[2,3)}'::int8multirange WHERE writer = 'w'", "writers"),
        ("UPDATE metric_live SET values[1] = 7", "latest values"),
        ("UPDATE metric_chunks SET values = set_byte(values, 13, 1)", "points"),
        ("UPDATE metric_chunks SET step_min = step_min + 1", "points"),
        ("UPDATE run_key_sets SET rows = rows + 1", "rows of key sets"),
        ("DELETE FROM metric_chunks", "points"),
    ],
)
async def test_what_differs_is_told_and_not_switched_to(tracking: Tracking, damage: str, table: str) -> None:
    await filled(tracking)
    async with pinned(tracking.pool) as connection:
        await connection.execute(damage)
    standing = await tracking.rebuilt()
    assert standing.row["state"] == "different"
    assert table in {difference[0] for difference in standing.differences}
    assert await tracking.generation() == 1
    assert await tracking.schemas() == ["g1"]


async def test_differences_that_are_accepted_are_switched_to(tracking: Tracking) -> None:
    await filled(tracking)
    async with pinned(tracking.pool) as connection:
        await connection.execute("UPDATE tags SET value = 'b' WHERE key = 'team'")
    standing = await tracking.rebuilt(accept_differences=True)
    assert (standing.row["state"], standing.row["differing"]) == ("done", 1)
    async with pinned(tracking.pool) as connection:
        assert await connection.fetchval("SELECT value FROM tags WHERE key = 'team'") == "a"


async def test_retired_generations_are_removed(tracking: Tracking) -> None:
    await filled(tracking)
    tracking.retired_kept_s = 0.0
    assert (await tracking.rebuilt()).row["state"] == "done"

    async def removed() -> bool:
        return await tracking.schemas() == ["g2"]

    async with at_work(tracking.rebuilder):
        await until(removed)


async def test_while_one_goes_on_another_is_refused(tracking: Tracking) -> None:
    first = await tracking.start()
    with pytest.raises(AlreadyExists, match=f"rebuild {first} has not ended"):
        await tracking.start()
    async with at_work(tracking.rebuilder):
        await tracking.ended()
    assert await tracking.start() > first


async def test_cancelled_it_leaves_nothing(tracking: Tracking) -> None:
    await filled(tracking)
    await tracking.start()
    async with acquire(tracking.pool) as connection:
        await requests.pause(connection, True)
    async with at_work(tracking.rebuilder):
        async with acquire(tracking.pool) as connection:
            await requests.cancel(connection)
        assert (await tracking.ended()).row["state"] == "cancelled"
    assert await tracking.schemas() == ["g1"]


async def test_paused_it_does_nothing_until_it_is_resumed(tracking: Tracking) -> None:
    await filled(tracking)
    await tracking.start()
    async with acquire(tracking.pool) as connection:
        await requests.pause(connection, True)
    async with at_work(tracking.rebuilder):
        await asyncio.sleep(1)
        assert (await tracking.standing()).row["state"] == "requested"
        async with acquire(tracking.pool) as connection:
            await requests.pause(connection, False)
        assert (await tracking.ended()).row["state"] == "done"


async def test_interrupted_anywhere_it_goes_on(tracking: Tracking) -> None:
    await filled(tracking)
    await tracking.start()
    for moment in range(1, 60):
        task = asyncio.create_task(tracking.rebuilder.run())
        await asyncio.wait([task], timeout=0.02 * moment)
        task.cancel()
        await asyncio.wait([task])
        if (await tracking.standing()).ended:
            break
    standing = await tracking.ended()
    assert standing.row["state"] == "done"
    counts = {row["stream"]: (row["records"], row["points"]) for row in standing.streams}
    assert counts[POINTS] == (7, 110)


# Poison.


async def test_a_log_with_poison_is_rebuilt_and_sets_it_aside_again(tracking: Tracking) -> None:
    place = await tracking.append_poison()
    await filled(tracking)
    assert (await tracking.rebuilt()).row["state"] == "done"
    (row,) = await tracking.quarantined.list("", ("", 0), 10, dropped=False)
    assert (row["stream"], row["position"]) == place
    # In the stream of copies it is once.
    copies = await tracking.log.read("REKAM_TRACKING_QUARANTINE", "rekam.quarantine.tracking.>")
    assert len(copies) == 1


async def test_what_was_dropped_stays_dropped(tracking: Tracking) -> None:
    place = await tracking.append_poison()
    await filled(tracking)
    await tracking.quarantined.drop(place, "ada", "a test")
    assert (await tracking.rebuilt()).row["state"] == "done"
    assert await tracking.quarantined.list("", ("", 0), 10, dropped=False) == []
    (row,) = await tracking.quarantined.list("", ("", 0), 10, dropped=True)
    assert (row["position"], row["dropped_by"], row["dropped_because"]) == (place[1], "ada", "a test")


# Readers, through the switch.


async def test_readers_notice_nothing(tracking: Tracking) -> None:
    run_id = await filled(tracking)
    sequence = 6
    seen = 0

    async def read_strongly(fresh: FreshReads) -> None:
        while True:
            wanted = seen
            targets = await fresh.caught_up([events.STREAM, POINTS], 20)
            async with acquire(tracking.pool) as connection:
                if not await fresh.holds(connection, targets):
                    continue
                found = await connection.fetchval(
                    "SELECT sum(points) FROM writers WHERE run_id = $1::uuid AND writer = 'w'", run_id
                )
                chunks = await connection.fetchval(
                    "SELECT sum(rows * columns) FROM metric_chunks JOIN writers USING (run_id, writer_id)"
                    " WHERE run_id = $1::uuid AND writer = 'w'",
                    run_id,
                )
                assert found >= wanted
                assert found <= chunks
                assert found % 10 == chunks % 10 == 0
            await asyncio.sleep(0)

    async with FreshReads(tracking.log, tracking.pool) as fresh:
        readers = [asyncio.create_task(read_strongly(fresh)) for _ in range(3)]
        await tracking.start()
        async with at_work(tracking.rebuilder):
            while not (await tracking.standing()).ended:
                await tracking.append_points(frame(run_id, sequence, 5 * sequence))
                seen = 10 * sequence
                sequence += 1
        assert (await tracking.standing()).row["state"] == "done"
        await tracking.append_points(frame(run_id, sequence, 5 * sequence))
        await tracking.caught_up()
        for reader in readers:
            reader.cancel()
        await asyncio.wait(readers)
        for reader in readers:
            assert reader.cancelled(), reader.exception()
    assert await tracking.generation() == 2
    async with pinned(tracking.pool) as connection:
        points = await connection.fetchval(
            "SELECT sum(points) FROM writers WHERE run_id = $1::uuid AND writer = 'w'", run_id
        )
    assert points == 10 * sequence


# Quarantine.


async def test_a_retry_applies_what_can_be_applied_now(tracking: Tracking) -> None:
    """A frame whose key set came later than it."""
    run = await tracking.replica.run()
    await tracking.append_points(frame(run.run_id, 1), key_sets=())
    await tracking.caught_up()
    (row,) = await tracking.quarantined.list("", ("", 0), 10, dropped=False)
    place = (row["stream"], row["position"])
    with pytest.raises(Exception, match="never announced"):
        await tracking.quarantined.retry(place)
    assert len(await tracking.quarantined.list("", ("", 0), 10, dropped=False)) == 1
    await tracking.append_points(frame(run.run_id, 2))
    await tracking.caught_up()
    await tracking.quarantined.retry(place)
    assert await tracking.quarantined.list("", ("", 0), 10, dropped=True) == []
    async with pinned(tracking.pool) as connection:
        assert await connection.fetchval("SELECT sum(points) FROM writers") == 20
    with pytest.raises(Exception, match="not in quarantine"):
        await tracking.quarantined.retry(place)


async def test_a_quarantine_stream_that_is_full_does_not_stop_the_projection(tracking: Tracking) -> None:
    await tracking.log.ensure(quarantine_stream(events.SERVICE, max_bytes=0))
    await tracking.append_poison()
    await filled(tracking)
    assert len(await tracking.quarantined.list("", ("", 0), 10, dropped=False)) == 1


async def test_what_was_dropped_is_not_applied_by_code_that_could(tracking: Tracking) -> None:
    run = await tracking.replica.run()
    at = await tracking.log.last_position(events.STREAM)
    await tracking.replica.runs.set_tags(run.run_id, {"odd": "1"}, Cause())
    await tracking.caught_up()
    # As if the code of that time could not apply it, and an operator had dropped it.
    async with pinned(tracking.pool) as connection:
        await connection.execute("DELETE FROM tags WHERE key = 'odd'")
        await connection.execute(
            "INSERT INTO quarantine VALUES ($1, $2, 's', 'r', '', now(), now(), 'ada', 'a test')",
            events.STREAM,
            at + 1,
        )
    standing = await tracking.rebuilt()
    assert standing.row["state"] == "done", standing.differences


async def test_a_decision_while_a_rebuild_goes_on_is_kept_or_has_to_wait(tracking: Tracking) -> None:
    place = await tracking.append_poison()
    await tracking.caught_up()
    async with acquire(tracking.pool) as connection:
        building = await generations.add(connection)
        await migrate_generation(connection, building, "rekam_tracking")
        await connection.execute("INSERT INTO projection_position VALUES ($1, $2)", *place)
    for decision in (tracking.quarantined.retry(place), tracking.quarantined.drop(place, "ada", "a test")):
        with pytest.raises(FailedPrecondition, match="a rebuild has passed it"):
            await decision
    async with acquire(tracking.pool) as connection:
        await generations.see(connection, building)
        await connection.execute("UPDATE projection_position SET position = 0")
    await tracking.quarantined.drop(place, "ada", "a test")
    async with acquire(tracking.pool) as connection:
        await generations.see(connection, building)
        assert await connection.fetchval("SELECT dropped_by FROM quarantine") == "ada"
