"""Log and archive read as one, and what is missing or damaged said by name."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator

import pytest

from rekam_runtime.archive import ArchivedLog
from rekam_runtime.archive.segment import Damaged
from rekam_runtime.blobs.memory import MemoryStore
from rekam_runtime.blobs.port import BlobStore
from rekam_runtime.blobs.s3 import S3Store
from rekam_runtime.errors import FailedPrecondition, Retry
from rekam_runtime.eventlog.jetstream import JetStreamLog
from rekam_runtime.eventlog.memory import MemoryLog
from rekam_runtime.eventlog.port import Draft, EventLog, Follower, Record, StreamSpec
from tests.support.archive import archive
from tests.support.nats import NatsServer
from tests.support.seaweed import SeaweedServer

pytestmark = pytest.mark.asyncio
STREAM = "S"


async def filled(log: EventLog, records: int, size: int = 100, stream: str = STREAM) -> None:
    await log.ensure(StreamSpec(stream, (f"{stream}.>",)))
    for number in range(records):
        await log.append(Draft(f"{stream}.{number % 3}", bytes([number % 256]) * size, uuid.uuid4().hex))


async def followed(follower: Follower, count: int) -> list[int]:
    positions: list[int] = []
    async with asyncio.timeout(30):
        while len(positions) < count:
            records = await follower.fetch(count - len(positions), 10_000_000, 1.0)
            positions += [record.position for record in records]
    return positions


async def scanned(log: EventLog, after: int = 0, stream: str = STREAM) -> list[int]:
    return [record.position async for record in log.scan(stream, after)]


@pytest.fixture
async def log() -> AsyncIterator[MemoryLog]:
    opened = MemoryLog()
    yield opened
    await opened.close()


async def test_on_the_real_parts_archive_and_stream_are_one_log(
    nats_server: NatsServer, seaweed_server: SeaweedServer
) -> None:
    stream = f"S{uuid.uuid4().hex[:12]}"
    log = await JetStreamLog.connect(nats_server.url, "archive")
    store = S3Store(seaweed_server.settings)
    whole = ArchivedLog(log, store)
    await filled(log, 50, 100_000, stream)
    before = [record async for record in log.scan(stream)]
    follower = await whole.follow(stream, "slow", after=0)
    assert await followed(follower, 10) == list(range(1, 11))
    await archive(log, store, stream, up_to=40)
    await log.drop(stream, 30)
    after: list[Record] = [record async for record in whole.scan(stream)]
    assert after == before
    assert [record.time_us for record in after] == [record.time_us for record in before]
    late = await whole.follow(stream, "late", after=12)
    assert await followed(late, 38) == list(range(13, 51))
    await log.append(Draft(f"{stream}.a", b"next", uuid.uuid4().hex))
    assert await followed(late, 1) == [51]
    assert await followed(follower, 41) == list(range(11, 52))
    for one in (follower, late):
        await one.close()
    await whole.close()


async def test_a_hole_between_archive_and_stream_is_named(log: MemoryLog) -> None:
    store = MemoryStore()
    whole = ArchivedLog(log, store)
    await filled(log, 20)
    await archive(log, store, STREAM, up_to=10)
    await log.drop(STREAM, 15)
    with pytest.raises(FailedPrecondition, match="records 11 to 15 of stream S are neither"):
        await scanned(whole)
    follower = await whole.follow(STREAM, "reader", after=0)
    with pytest.raises(FailedPrecondition, match="records 11 to 15"):
        await followed(follower, 20)
    await follower.close()
    assert await scanned(whole, after=15) == [16, 17, 18, 19, 20]


async def test_a_segment_that_is_gone_is_a_hole(log: MemoryLog) -> None:
    store = MemoryStore()
    await filled(log, 30)
    await archive(log, store, STREAM, up_to=28, segment_records=7)
    await log.drop(STREAM, 25)
    (gone,) = (key for key in store.blobs if "/00000000000000000008-" in key)
    await store.delete(gone)
    with pytest.raises(FailedPrecondition, match="records 8 to 14"):
        await scanned(ArchivedLog(log, store))


async def test_a_damaged_segment_is_named_and_never_skipped(log: MemoryLog) -> None:
    store = MemoryStore()
    await filled(log, 30)
    await archive(log, store, STREAM, up_to=28, segment_records=7)
    await log.drop(STREAM, 28)
    (key,) = (key for key in store.blobs if "/00000000000000000008-" in key)
    whole = store.blobs[key]
    for damaged in (
        whole[:-1],
        whole[: len(whole) // 2],
        b"",
        bytes([*whole[:30], whole[30] ^ 4, *whole[31:]]),
    ):
        store.blobs[key] = damaged
        positions: list[int] = []
        with pytest.raises(Damaged) as raised:
            async for record in ArchivedLog(log, store).scan(STREAM):
                positions.append(record.position)  # noqa: PERF401 - kept also when it raises
        assert key in raised.value.message
        assert positions == list(range(1, 8))


async def test_a_segment_under_another_name_is_refused(log: MemoryLog) -> None:
    store = MemoryStore()
    await filled(log, 30)
    await archive(log, store, STREAM, up_to=14, segment_records=7)
    await log.drop(STREAM, 14)
    first, second = sorted(store.blobs)
    store.blobs[first] = store.blobs[second]
    with pytest.raises(Damaged, match="something else than its name says"):
        await scanned(ArchivedLog(log, store))


async def test_segments_may_overlap(log: MemoryLog) -> None:
    store = MemoryStore()
    await filled(log, 30)
    other = MemoryStore()
    await archive(log, store, STREAM, up_to=14, segment_records=7)
    await archive(log, other, STREAM, up_to=28, segment_records=10)
    store.blobs |= other.blobs
    await log.drop(STREAM, 28)
    assert await scanned(ArchivedLog(log, store)) == list(range(1, 31))


async def test_a_log_that_was_emptied_begins_anew_whatever_the_archive_has(log: MemoryLog) -> None:
    store = MemoryStore()
    whole = ArchivedLog(log, store)
    await filled(log, 10)
    await archive(log, store, STREAM, up_to=8)
    await log.drop(STREAM, 5)
    await log.purge(STREAM)
    assert await scanned(whole) == []
    await filled(log, 10)
    assert await scanned(whole) == list(range(11, 21))
    await archive(log, store, STREAM, up_to=18)
    await log.drop(STREAM, 15)
    assert await scanned(whole) == list(range(11, 21))
    store.blobs = {key: data for key, data in store.blobs.items() if "-10/" in key}
    follower = await whole.follow(STREAM, "reader", after=0)
    assert await followed(follower, 10) == list(range(11, 21))
    await follower.close()


async def test_an_archive_of_another_log_is_not_taken_for_this_ones(log: MemoryLog) -> None:
    store = MemoryStore()
    await filled(log, 10)
    await archive(log, store, STREAM, up_to=10)
    again = MemoryLog()
    await filled(again, 12)
    await again.drop(STREAM, 5)
    with pytest.raises(FailedPrecondition, match="records 1 to 5"):
        await scanned(ArchivedLog(again, store))


async def test_a_follower_that_is_overtaken_by_a_drop_goes_back_to_the_archive(log: MemoryLog) -> None:
    store = MemoryStore()
    await filled(log, 30)
    follower = await ArchivedLog(log, store).follow(STREAM, "slow", after=0)
    positions = [record.position for record in await follower.fetch(3, 1000, 1.0)]
    await archive(log, store, STREAM, up_to=25)
    await log.drop(STREAM, 20)
    positions += await followed(follower, 27)
    assert positions == list(range(1, 31))
    await follower.close()


async def test_an_archive_that_is_away_is_waited_for(mortal_seaweed_server: SeaweedServer) -> None:
    server, log = mortal_seaweed_server, MemoryLog()
    store: BlobStore = S3Store(server.settings)
    whole = ArchivedLog(log, store)
    await filled(log, 20)
    await archive(log, store, STREAM, up_to=15)
    await log.drop(STREAM, 15)
    await asyncio.to_thread(server.kill)
    follower = await whole.follow(STREAM, "reader", after=0)
    with pytest.raises(Retry):
        await followed(follower, 20)
    assert await scanned(whole, after=15) == [16, 17, 18, 19, 20], "what the stream has needs no archive"
    await asyncio.to_thread(server.start)
    assert await followed(follower, 20) == list(range(1, 21))
    await follower.close()
    await whole.close()
