"""Group commit against the in-memory log, which the contract suite proves equal to the real one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from rekam_gateway.ingest.publisher import BATCH_BYTES, ShardPublisher, serialized
from rekam_proto.event.v1 import envelope_pb2
from rekam_proto.ingest.v1 import points_pb2, views_pb2
from rekam_runtime.errors import Retry
from rekam_runtime.eventlog.memory import MemoryLog
from rekam_runtime.eventlog.shards import points_stream, points_streams, points_subject
from tests.support.ingest import key_set

STREAM, SUBJECT = points_stream(0), points_subject(0)


@pytest.fixture
async def log() -> AsyncIterator[MemoryLog]:
    opened = MemoryLog()
    await opened.ensure(points_streams(1)[0])
    yield opened
    await opened.close()


def record(sequence: int, size: int = 104) -> bytes:
    frame = views_pb2.StoredFrameView(run_id=b"r" * 16, sequence=sequence, values=b"\0" * size)
    return serialized(views_pb2.PointRecordView(frame=frame))


async def stored_batches(log: MemoryLog) -> list[points_pb2.PointsAppended]:
    batches = []
    for stored in await log.read(STREAM, SUBJECT):
        envelope = envelope_pb2.Envelope.FromString(stored.data)
        assert envelope.type == "rekam_proto.ingest.v1.PointsAppended"
        batches.append(points_pb2.PointsAppended.FromString(envelope.payload))
    return batches


def definition(key: str) -> bytes:
    return serialized(views_pb2.PointRecordView(key_set=key_set(key)))


def kinds(batches: list[points_pb2.PointsAppended]) -> list[list[str | None]]:
    return [[one.WhichOneof("body") for one in batch.records] for batch in batches]


async def test_records_are_stored_in_order_and_together(log: MemoryLog) -> None:
    publisher = ShardPublisher(log, SUBJECT)
    await asyncio.gather(*[publisher.put(record(n)) for n in range(1, 201)])
    batches = await stored_batches(log)
    assert [one.frame.sequence for batch in batches for one in batch.records] == list(range(1, 201))
    assert len(batches) < 10
    await publisher.close()


async def test_an_event_is_bounded_in_bytes(log: MemoryLog) -> None:
    publisher = ShardPublisher(log, SUBJECT)
    size = BATCH_BYTES // 32 * 8
    await asyncio.gather(*[publisher.put(record(n, size)) for n in range(1, 11)])
    assert max(len(batch.records) for batch in await stored_batches(log)) == 3
    await publisher.close()


async def test_closing_stores_what_is_queued(log: MemoryLog) -> None:
    publisher = ShardPublisher(log, SUBJECT)
    waiting = [publisher.put(record(n)) for n in range(1, 51)]
    await publisher.close()
    assert all(one.done() and one.exception() is None for one in waiting)
    assert sum(len(batch.records) for batch in await stored_batches(log)) == 50


async def test_what_the_log_does_not_take_fails_with_what_waits_behind_it() -> None:
    log = MemoryLog()  # without the stream: every append is refused
    publisher = ShardPublisher(log, SUBJECT)
    publisher.announce(b"a", definition("a"))
    frames = [publisher.put(record(n)) for n in range(1, 4)]
    results = await asyncio.gather(*frames, return_exceptions=True)
    assert all(isinstance(result, Retry) for result in results)
    await log.ensure(points_streams(1)[0])
    publisher.announce(b"a", definition("a"))
    await publisher.put(record(1))
    assert kinds(await stored_batches(log)) == [["key_set"], ["frame"]]
    await publisher.close()


async def test_what_records_rely_on_is_announced_once_in_an_event_of_its_own(log: MemoryLog) -> None:
    publisher = ShardPublisher(log, SUBJECT)
    for number in range(1, 4):
        publisher.announce(b"a", definition("a"))
        publisher.announce(b"b", definition("b"))
        await publisher.put(record(number))
    assert kinds(await stored_batches(log)) == [["key_set", "key_set"], ["frame"], ["frame"], ["frame"]]
    await publisher.close()


async def test_an_emptied_log_is_told_again(log: MemoryLog) -> None:
    publisher = ShardPublisher(log, SUBJECT)
    publisher.announce(b"a", definition("a"))
    await publisher.put(record(1))
    await log.purge(STREAM)
    publisher.forget()
    publisher.announce(b"a", definition("a"))
    await publisher.put(record(2))
    assert kinds(await stored_batches(log)) == [["key_set"], ["frame"]]
    await publisher.close()


async def test_what_arrives_at_any_moment_of_a_failure_is_answered() -> None:
    log = MemoryLog()  # without the stream: every append is refused
    publisher = ShardPublisher(log, SUBJECT)
    for turns in range(8):
        before = publisher.put(record(1))
        for _ in range(turns):
            await asyncio.sleep(0)
        results = await asyncio.gather(before, publisher.put(record(2)), return_exceptions=True)
        assert all(isinstance(result, Retry) for result in results)
    await log.ensure(points_streams(1)[0])
    await publisher.put(record(1))
    await publisher.close()
