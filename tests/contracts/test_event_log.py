"""What every event log promises: one suite for JetStream, for the in-memory twin, and for either
with an archive that has most of what is read."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator

import pytest

from rekam_runtime.blobs.memory import MemoryStore
from rekam_runtime.errors import FailedPrecondition, Invalid, NotFound, Refused, Retry, SlowDown
from rekam_runtime.eventlog.jetstream import JetStreamLog
from rekam_runtime.eventlog.jetstream.connection import Connection
from rekam_runtime.eventlog.memory import MemoryLog
from rekam_runtime.eventlog.port import (
    MAX_BATCH_RECORDS,
    MAX_DATA_BYTES,
    Conflict,
    Draft,
    Dropped,
    EventLog,
    Follower,
    Record,
    StreamSpec,
)
from tests.support.archive import AgedLog
from tests.support.nats import NatsServer

pytestmark = pytest.mark.asyncio


ADAPTERS = ("memory", "jetstream")


@pytest.fixture(params=[*ADAPTERS, *(f"archived {adapter}" for adapter in ADAPTERS)])
async def log(request: pytest.FixtureRequest) -> AsyncIterator[EventLog]:
    archived, _, adapter = request.param.rpartition(" ")
    opened: EventLog = await connect(adapter, request)
    if archived:
        opened = AgedLog(opened, MemoryStore())
    yield opened
    await opened.close()


@pytest.fixture(params=ADAPTERS)
async def bare_log(request: pytest.FixtureRequest) -> AsyncIterator[EventLog]:
    """A log without an archive."""
    opened = await connect(request.param, request)
    yield opened
    await opened.close()


async def connect(adapter: str, request: pytest.FixtureRequest) -> EventLog:
    if adapter == "memory":
        return MemoryLog()
    server: NatsServer = request.getfixturevalue("nats_server")
    return await JetStreamLog.connect(server.url, "contract")


@pytest.fixture
async def bare_stream(bare_log: EventLog) -> str:
    """As `stream`."""
    name = f"S{uuid.uuid4().hex[:12]}"
    await bare_log.ensure(StreamSpec(name, (f"{name}.>",)))
    return name


@pytest.fixture
async def stream(log: EventLog) -> str:
    """A fresh stream; its subjects begin with its name."""
    name = f"S{uuid.uuid4().hex[:12]}"
    await log.ensure(StreamSpec(name, (f"{name}.>",)))
    return name


def draft(subject: str, data: bytes = b"x", expected: int | None = None, event_id: str = "") -> Draft:
    return Draft(subject, data, event_id or uuid.uuid4().hex, expected)


async def fetched(follower: Follower, count: int) -> list[Record]:
    """The next `count` records, within a deadline."""
    records: list[Record] = []
    async with asyncio.timeout(20):
        while len(records) < count:
            records += await follower.fetch(count - len(records), 64 * 1024 * 1024, 1.0)
    return records


# Appending.


async def test_positions_grow_from_one_over_all_subjects(log: EventLog, stream: str) -> None:
    positions = [await log.append(draft(f"{stream}.{name}")) for name in ("a", "b", "a")]
    assert positions == [1, 2, 3]
    assert await log.last_position(stream) == 3


async def test_an_expected_position_that_holds_is_taken(log: EventLog, stream: str) -> None:
    first = await log.append(draft(f"{stream}.a", expected=0))
    await log.append(draft(f"{stream}.b", expected=0))
    assert await log.append(draft(f"{stream}.a", expected=first)) == 3


@pytest.mark.parametrize("expected", [0, 2, 7])
async def test_an_expected_position_that_does_not_hold_is_a_conflict(
    log: EventLog, stream: str, expected: int
) -> None:
    await log.append(draft(f"{stream}.a"))
    await log.append(draft(f"{stream}.b"))
    with pytest.raises(Conflict):
        await log.append(draft(f"{stream}.a", expected=expected))
    assert await log.last_position(stream) == 2


@pytest.mark.parametrize("expected", [None, 0])
async def test_the_same_event_again_answers_the_first_position(
    log: EventLog, stream: str, expected: int | None
) -> None:
    once = draft(f"{stream}.a", expected=expected, event_id="once")
    assert await log.append(once) == 1
    await log.append(draft(f"{stream}.a"))
    assert await log.append(once) == 1
    assert await log.last_position(stream) == 2


async def test_of_racing_writers_one_wins_each_position(log: EventLog, stream: str) -> None:
    async def write(writer: int) -> int:
        """Read, decide, append; again on a conflict."""
        conflicts = 0
        for number in range(20):
            while True:
                records = await log.read(stream, f"{stream}.a")
                last = records[-1].position if records else 0
                try:
                    await log.append(draft(f"{stream}.a", f"{writer}.{number}".encode(), expected=last))
                    break
                except Conflict:
                    conflicts += 1
        return conflicts

    await asyncio.gather(write(1), write(2))
    stored = [record.data for record in await log.read(stream, f"{stream}.a")]
    assert sorted(stored) == sorted(f"{w}.{n}".encode() for w in (1, 2) for n in range(20))


async def test_concurrent_appends_all_get_positions_of_their_own(log: EventLog, stream: str) -> None:
    positions = await asyncio.gather(*(log.append(draft(f"{stream}.{n % 7}")) for n in range(300)))
    assert sorted(positions) == list(range(1, 301))


async def test_an_event_of_the_greatest_size_is_stored_whole(log: EventLog, stream: str) -> None:
    data = bytes(range(256)) * (MAX_DATA_BYTES // 256)
    await log.append(draft(f"{stream}.a", data))
    assert [record.data for record in await log.read(stream, f"{stream}.a")] == [data]


async def test_a_larger_event_is_refused_and_the_log_goes_on(log: EventLog, stream: str) -> None:
    with pytest.raises(Invalid, match=str(MAX_DATA_BYTES)):
        await log.append(draft(f"{stream}.a", bytes(MAX_DATA_BYTES + 1)))
    assert await log.append(draft(f"{stream}.a")) == 1


async def test_a_full_stream_refuses_and_keeps_what_it_has(log: EventLog) -> None:
    name = f"S{uuid.uuid4().hex[:12]}"
    await log.ensure(StreamSpec(name, (f"{name}.>",), max_bytes=10_000))
    stored = 0
    with pytest.raises(SlowDown):
        for _ in range(20):
            await log.append(draft(f"{name}.a", bytes(1000)))
            stored += 1
    assert stored > 0
    assert [record.position for record in await log.read(name, f"{name}.a")] == list(range(1, stored + 1))
    with pytest.raises(SlowDown):
        await log.append_batch([draft(f"{name}.a", bytes(6000)), draft(f"{name}.a", bytes(6000))])
    # Room is made, not by itself: the next append is taken.
    await log.ensure(StreamSpec(name, (f"{name}.>",), max_bytes=1_000_000))
    assert await log.append(draft(f"{name}.a", bytes(1000))) == stored + 1


# Batches.


async def test_a_batch_is_stored_whole_and_in_order(log: EventLog, stream: str) -> None:
    await log.append(draft(f"{stream}.a"))
    drafts = [draft(f"{stream}.{name}", name.encode()) for name in ("b", "c", "b", "d")]
    assert await log.append_batch(drafts) == [2, 3, 4, 5]
    assert [record.data for record in await log.read(stream, f"{stream}.>", after=1)] == [
        b"b",
        b"c",
        b"b",
        b"d",
    ]


async def test_a_batch_with_one_failing_expectation_stores_nothing(log: EventLog, stream: str) -> None:
    await log.append(draft(f"{stream}.c"))
    with pytest.raises(Conflict):
        await log.append_batch([draft(f"{stream}.b", expected=0), draft(f"{stream}.c", expected=0)])
    assert await log.last_position(stream) == 1
    assert await log.read(stream, f"{stream}.b") == []


async def test_within_a_batch_the_first_expectation_of_a_subject_counts(log: EventLog, stream: str) -> None:
    drafts = [
        draft(f"{stream}.a", expected=0),
        draft(f"{stream}.a", expected=0),
        draft(f"{stream}.b", expected=0),
    ]
    assert await log.append_batch(drafts) == [1, 2, 3]


@pytest.mark.parametrize("expected", [None, 0])
async def test_the_same_batch_again_answers_the_first_positions(
    log: EventLog, stream: str, expected: int | None
) -> None:
    drafts = [draft(f"{stream}.{name}", expected=expected) for name in "abc"]
    assert await log.append_batch(drafts) == [1, 2, 3]
    assert await log.append_batch(drafts) == [1, 2, 3]
    assert await log.last_position(stream) == 3


async def test_a_batch_that_is_stored_in_part_is_a_conflict(log: EventLog, stream: str) -> None:
    drafts = [draft(f"{stream}.{name}") for name in "abc"]
    await log.append(drafts[1])
    with pytest.raises(Conflict):
        await log.append_batch(drafts)
    assert await log.last_position(stream) == 1


async def test_batches_of_none_one_and_the_most(log: EventLog, stream: str) -> None:
    assert await log.append_batch([]) == []
    assert await log.append_batch([draft(f"{stream}.a")]) == [1]
    most = [draft(f"{stream}.a") for _ in range(MAX_BATCH_RECORDS)]
    assert await log.append_batch(most) == list(range(2, MAX_BATCH_RECORDS + 2))
    with pytest.raises(Invalid, match=str(MAX_BATCH_RECORDS)):
        await log.append_batch([*most, draft(f"{stream}.a")])


# Reading.


async def test_a_subject_is_read_past_a_position(log: EventLog, stream: str) -> None:
    for number in range(6):
        await log.append(draft(f"{stream}.{'ab'[number % 2]}", str(number).encode()))
    assert await log.read(stream, f"{stream}.a", after=1) == [
        Record(3, f"{stream}.a", b"2"),
        Record(5, f"{stream}.a", b"4"),
    ]
    assert await log.read(stream, f"{stream}.a", after=5) == []
    assert await log.read(stream, f"{stream}.a", after=1000) == []
    assert await log.read(stream, f"{stream}.nothing") == []


async def test_a_pattern_reads_many_subjects_in_order(log: EventLog, stream: str) -> None:
    drafts = [draft(f"{stream}.{'run' if n % 2 else 'experiment'}.{n}") for n in range(40)]
    for one in drafts:
        await log.append(one)
    runs = await log.read(stream, f"{stream}.run.>")
    assert [record.subject for record in runs] == [one.subject for one in drafts if ".run." in one.subject]


async def test_reading_and_scanning_go_past_a_page(log: EventLog, stream: str) -> None:
    for start in range(0, 2500, 500):
        await log.append_batch([draft(f"{stream}.a", str(start + n).encode()) for n in range(500)])
    for _ in range(6):
        await log.append(draft(f"{stream}.a", bytes(1_000_000)))
    assert [record.position for record in await log.read(stream, f"{stream}.a")] == list(range(1, 2507))
    assert [record.position async for record in log.scan(stream, after=2000)] == list(range(2001, 2507))
    assert [record async for record in log.scan(stream, after=2506)] == []


async def test_what_is_not_there_is_said(log: EventLog) -> None:
    with pytest.raises(NotFound):
        await log.last_position("NO_SUCH_STREAM")
    with pytest.raises(NotFound):
        await log.follow("NO_SUCH_STREAM", "reader", 0)


# Following.


async def test_following_starts_past_a_position_and_goes_on(log: EventLog, stream: str) -> None:
    for number in range(5):
        await log.append(draft(f"{stream}.{number}"))
    follower = await log.follow(stream, "reader", after=2)
    assert [record.position for record in await fetched(follower, 3)] == [3, 4, 5]
    assert await follower.fetch(10, 1000, 0.02) == []
    waiting = asyncio.create_task(fetched(follower, 1))
    await log.append(draft(f"{stream}.later", b"later"))
    assert await waiting == [Record(6, f"{stream}.later", b"later")]
    await follower.close()


async def test_following_obeys_its_bounds(log: EventLog, stream: str) -> None:
    for _ in range(10):
        await log.append(draft(f"{stream}.a", bytes(1000)))
    follower = await log.follow(stream, "reader", after=0)
    positions: list[int] = []
    async with asyncio.timeout(20):
        while len(positions) < 10:
            records = await follower.fetch(3, 2500, 1.0)
            assert len(records) <= 2
            positions += [record.position for record in records]
    assert positions == list(range(1, 11))
    await log.append(draft(f"{stream}.a", bytes(1000)))
    assert len(await follower.fetch(1, 10, 5.0)) == 1, "one record comes even if it is over the bound"
    await follower.close()


async def test_two_followers_of_one_name_each_get_everything(log: EventLog, stream: str) -> None:
    one = await log.follow(stream, "reader", after=0)
    other = await log.follow(stream, "reader", after=0)
    for _ in range(20):
        await log.append(draft(f"{stream}.a"))
    for follower in (one, other):
        assert [record.position for record in await fetched(follower, 20)] == list(range(1, 21))
        await follower.acknowledge(20)
        await follower.close()


async def test_what_was_not_acknowledged_comes_again_and_the_position_given_decides(
    log: EventLog, stream: str
) -> None:
    for _ in range(6):
        await log.append(draft(f"{stream}.a"))
    first = await log.follow(stream, "reader", after=0)
    await fetched(first, 6)
    await first.acknowledge(4)
    await first.close()
    for after in (4, 2, 6, 0):
        again = await log.follow(stream, "reader", after=after)
        expected = list(range(after + 1, 7))
        assert [record.position for record in await fetched(again, len(expected))] == expected
        await again.close()


async def test_following_while_it_is_written_misses_nothing(log: EventLog, stream: str) -> None:
    follower = await log.follow(stream, "reader", after=0)

    async def write() -> None:
        for _ in range(30):
            await asyncio.gather(*(log.append(draft(f"{stream}.{n % 5}", bytes(2000))) for n in range(100)))

    writing = asyncio.create_task(write())
    positions: list[int] = []
    async with asyncio.timeout(60):
        while len(positions) < 3000:
            records = await follower.fetch(500, 200_000, 1.0)
            positions += [record.position for record in records]
            if records:
                await follower.acknowledge(records[-1].position)
    await writing
    assert positions == list(range(1, 3001))
    await follower.close()


async def test_more_than_is_buffered_arrives_in_order(log: EventLog, stream: str) -> None:
    for _ in range(48):
        await log.append(draft(f"{stream}.a", bytes(512 * 1024)))
    follower = await log.follow(stream, "reader", after=0)
    assert [record.position for record in await fetched(follower, 48)] == list(range(1, 49))
    await follower.close()


async def test_a_position_past_the_end_is_another_log(log: EventLog, stream: str) -> None:
    await log.append(draft(f"{stream}.a"))
    with pytest.raises(FailedPrecondition, match="ends at 1"):
        await log.follow(stream, "reader", after=2)


# Streams.


async def test_ensure_may_be_called_by_all_at_any_time(log: EventLog, stream: str) -> None:
    await log.append(draft(f"{stream}.a"))
    spec = StreamSpec(stream, (f"{stream}.>",))
    await asyncio.gather(*(log.ensure(spec) for _ in range(5)))
    other = StreamSpec(f"{stream}X", (f"{stream}X.>",))
    await asyncio.gather(*(log.ensure(other) for _ in range(5)))
    assert await log.last_position(stream) == 1


async def test_a_changed_spec_takes_effect_and_keeps_the_records(log: EventLog, stream: str) -> None:
    await log.append(draft(f"{stream}.a"))
    await log.ensure(StreamSpec(stream, (f"{stream}.>", f"{stream}more.>")))
    assert await log.append(draft(f"{stream}more.b")) == 2
    assert len(await log.read(stream, ">")) == 2


async def test_a_stream_whose_subjects_another_one_takes_is_refused(log: EventLog, stream: str) -> None:
    with pytest.raises(FailedPrecondition):
        await log.ensure(StreamSpec(f"{stream}X", (f"{stream}.a",)))


async def test_after_a_purge_positions_go_on_growing(log: EventLog, stream: str) -> None:
    follower = await log.follow(stream, "reader", after=0)
    for _ in range(3):
        await log.append(draft(f"{stream}.a"))
    assert len(await fetched(follower, 3)) == 3
    assert await log.purge(stream) == 3
    assert await log.read(stream, f"{stream}.a") == []
    assert await log.last_position(stream) == 3
    assert [record async for record in log.scan(stream)] == []
    assert await log.append(draft(f"{stream}.a", expected=0)) == 4
    assert [record.position for record in await fetched(follower, 1)] == [4]
    late = await log.follow(stream, "late", after=0)
    assert [record.position for record in await fetched(late, 1)] == [4]
    await follower.close()
    await late.close()


async def test_a_purge_begins_the_log_anew(log: EventLog, stream: str) -> None:
    before = await log.extent(stream)
    assert (before.origin, before.first, before.last) == (0, 1, 0)
    for _ in range(3):
        await log.append(draft(f"{stream}.a"))
    assert (await log.extent(stream)).log_id == before.log_id
    await log.purge(stream)
    after = await log.extent(stream)
    assert (after.origin, after.first, after.last) == (3, 4, 3)
    assert after.log_id != before.log_id
    await log.ensure(StreamSpec(stream, (f"{stream}.>",), max_bytes=1_000_000))
    assert await log.extent(stream) == after


async def test_streams_are_named(log: EventLog, stream: str) -> None:
    await log.ensure(StreamSpec(f"{stream}X", (f"{stream}X.>",)))
    names = await log.streams()
    assert names == sorted(names)
    assert {stream, f"{stream}X"} <= set(names)


async def test_records_say_when_they_were_stored(log: EventLog, stream: str) -> None:
    started = time.time_ns() // 1000
    for _ in range(2):
        await log.append(draft(f"{stream}.a"))
    ended = time.time_ns() // 1000
    follower = await log.follow(stream, "reader", after=0)
    followed = [record.time_us for record in await fetched(follower, 2)]
    assert followed == [record.time_us for record in await log.read(stream, f"{stream}.a")]
    assert started <= followed[0] <= followed[1] <= ended
    await follower.close()


# Dropping.


async def test_dropped_records_are_gone_and_positions_go_on(bare_log: EventLog, bare_stream: str) -> None:
    for _ in range(5):
        await bare_log.append(draft(f"{bare_stream}.a", bytes(1000)))
    whole = await bare_log.extent(bare_stream)
    for up_to in (2, 3, 3, 1, 0, -1):  # again, and less, changes nothing
        await bare_log.drop(bare_stream, up_to)
    kept = await bare_log.extent(bare_stream)
    assert (kept.log_id, kept.origin, kept.first, kept.last) == (whole.log_id, 0, 4, 5)
    assert kept.bytes < whole.bytes
    assert [record.position async for record in bare_log.scan(bare_stream, after=3)] == [4, 5]
    assert await bare_log.append(draft(f"{bare_stream}.a")) == 6
    await bare_log.drop(bare_stream, 1000)
    emptied = await bare_log.extent(bare_stream)
    assert (emptied.first, emptied.last) == (7, 6)
    assert await bare_log.append(draft(f"{bare_stream}.a")) == 7


async def test_nobody_reads_past_what_was_dropped_unknowing(bare_log: EventLog, bare_stream: str) -> None:
    for _ in range(5):
        await bare_log.append(draft(f"{bare_stream}.a"))
    await bare_log.drop(bare_stream, 3)
    with pytest.raises(Dropped, match="records 3 to 3 are in the archive only"):
        await bare_log.follow(bare_stream, "reader", after=2)
    with pytest.raises(Dropped, match="records 1 to 3"):
        async for _ in bare_log.scan(bare_stream):
            pass
    follower = await bare_log.follow(bare_stream, "reader", after=3)
    assert [record.position for record in await fetched(follower, 2)] == [4, 5]
    await follower.close()
    await bare_log.drop(bare_stream, 5)
    with pytest.raises(Dropped, match="records 1 to 5"):
        async for _ in bare_log.scan(bare_stream):
            pass


async def test_a_follower_that_is_overtaken_by_a_drop_says_so(bare_log: EventLog, bare_stream: str) -> None:
    for _ in range(80):
        await bare_log.append(draft(f"{bare_stream}.a", bytes(512 * 1024)))
    follower = await bare_log.follow(bare_stream, "reader", after=0)
    positions = [record.position for record in await fetched(follower, 1)]
    await bare_log.drop(bare_stream, 79)
    with pytest.raises(Dropped, match="begins at 80"):
        while True:
            positions += [record.position for record in await fetched(follower, 1)]
    assert positions == list(range(1, len(positions) + 1))
    await follower.close()


async def test_a_dropped_beginning_may_be_purged(bare_log: EventLog, bare_stream: str) -> None:
    for _ in range(3):
        await bare_log.append(draft(f"{bare_stream}.a"))
    await bare_log.drop(bare_stream, 2)
    assert await bare_log.purge(bare_stream) == 3
    assert await bare_log.append(draft(f"{bare_stream}.a")) == 4
    assert [record.position async for record in bare_log.scan(bare_stream)] == [4]


# Signals.


async def test_signals_reach_whoever_listens_in_order(log: EventLog, stream: str) -> None:
    async with log.signals(stream) as one, log.signals(stream) as other, log.signals(f"{stream}x") as foreign:
        for number in range(3):
            await log.publish_signal(stream, str(number).encode())
        await log.publish_signal(f"{stream}x", b"x")
        async with asyncio.timeout(10):
            assert [await anext(one) for _ in range(3)] == [b"0", b"1", b"2"]
            assert [await anext(other) for _ in range(3)] == [b"0", b"1", b"2"]
            assert await anext(foreign) == b"x"
    await log.publish_signal(stream, b"nobody listens")


async def test_a_listener_that_falls_behind_loses_the_oldest(log: EventLog, stream: str) -> None:
    async with log.signals(stream) as signals, log.signals(f"{stream}end") as end:
        for number in range(2000):
            await log.publish_signal(stream, str(number).encode())
        await log.publish_signal(f"{stream}end", b"")
        async with asyncio.timeout(10):
            await anext(end)
            heard = [await anext(signals)]
            while heard[-1] != b"1999":
                heard.append(await anext(signals))
    assert len(heard) < 2000
    assert heard == [str(number).encode() for number in range(2000 - len(heard), 2000)]


# JetStream alone: a server that dies.


async def test_after_a_kill_what_was_acknowledged_is_there_and_following_goes_on(
    mortal_nats_server: NatsServer,
) -> None:
    server = mortal_nats_server
    log = await JetStreamLog.connect(server.url, "kill")
    await log.ensure(StreamSpec("S", ("s.>",)))
    follower = await log.follow("S", "reader", after=0)
    positions: list[int] = []

    async def read_on(until: int) -> None:
        async with asyncio.timeout(30):
            while not positions or positions[-1] < until:
                try:
                    records = await follower.fetch(50, 1_000_000, 0.5)
                except Retry:
                    continue
                positions.extend(record.position for record in records)

    acknowledged = [await log.append(draft("s.a", bytes(1000))) for _ in range(100)]
    await read_on(60)
    server.kill()
    # Sent while the server is away, taken once it is back, each once.
    writing = asyncio.gather(*(log.append(draft("s.b", bytes(1000), event_id=f"b{n}")) for n in range(50)))
    await asyncio.sleep(0)
    await asyncio.to_thread(server.start)
    acknowledged += await writing
    await read_on(max(acknowledged))
    assert sorted(acknowledged) == list(range(1, 151))
    assert positions == list(range(1, 151))
    assert [record.position for record in await log.read("S", ">")] == list(range(1, 151))
    await follower.close()
    await log.close()


async def test_a_stream_of_an_earlier_version_begins_where_its_records_do(nats_server: NatsServer) -> None:
    name = f"S{uuid.uuid4().hex[:12]}"
    connection = await Connection.open(nats_server.url, "earlier version", 10)
    await connection.api(f"STREAM.CREATE.{name}", {"name": name, "subjects": [f"{name}.>"]})
    log = JetStreamLog(connection)
    await log.append(draft(f"{name}.a"))
    await connection.api(f"STREAM.PURGE.{name}")
    await log.ensure(StreamSpec(name, (f"{name}.>",)))
    await log.append(draft(f"{name}.a"))
    extent = await log.extent(name)
    assert (extent.origin, extent.first, extent.last) == (1, 2, 2)
    assert [record.position async for record in log.scan(name)] == [2]
    await log.close()


async def test_no_server_is_said_within_the_time_given() -> None:
    with pytest.raises(Retry, match="cannot connect"):
        await JetStreamLog.connect("nats://127.0.0.1:1", "nobody", wait_s=0.3)


async def test_a_refusal_is_not_tried_again(nats_server: NatsServer) -> None:
    log = await JetStreamLog.connect(nats_server.url, "refused")
    with pytest.raises(Refused):
        await log.ensure(StreamSpec("BAD", ("bad subject",)))
    await log.close()
