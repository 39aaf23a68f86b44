"""The gateway's own writers: dense counts, a fresh name after a failure, bounds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from rekam_gateway.ingest.publisher import ShardPublisher
from rekam_gateway.ingest.writers import Block, RunWriters
from rekam_proto.event.v1 import envelope_pb2
from rekam_proto.ingest.v1 import points_pb2
from rekam_runtime.budget import ByteBudget
from rekam_runtime.errors import Retry
from rekam_runtime.eventlog.memory import MemoryLog
from rekam_runtime.eventlog.shards import points_stream, points_streams, points_subject
from rekam_runtime.names import key_set_hash

BLOCK = Block(("a", "b"), bytes(8), bytes(8), bytes(16))
RUNS = [bytes([number]) * 16 for number in range(4)]


@pytest.fixture
async def log() -> AsyncIterator[MemoryLog]:
    opened = MemoryLog()
    await opened.ensure(points_streams(1)[0])
    yield opened
    await opened.close()


async def frames(log: MemoryLog) -> list[points_pb2.StoredFrame]:
    found: list[points_pb2.StoredFrame] = []
    for stored in await log.read(points_stream(0), points_subject(0)):
        event = points_pb2.PointsAppended.FromString(envelope_pb2.Envelope.FromString(stored.data).payload)
        found += [record.frame for record in event.records if record.HasField("frame")]
    return found


async def test_each_run_has_a_writer_that_counts_from_one(log: MemoryLog) -> None:
    publisher = ShardPublisher(log, points_subject(0))
    writers = RunWriters([publisher], ByteBudget(1_000_000))
    await asyncio.gather(*(writers.write(run_id, [BLOCK, BLOCK]) for run_id in RUNS for _ in range(5)))
    stored = await frames(log)
    assert len({frame.writer for frame in stored}) == len(RUNS)
    for run_id in RUNS:
        assert [frame.sequence for frame in stored if frame.run_id == run_id] == list(range(1, 11))
    await publisher.close()


async def test_after_a_failure_and_after_it_was_forgotten_a_run_has_another_writer() -> None:
    log = MemoryLog()  # without the stream: every append is refused
    publisher = ShardPublisher(log, points_subject(0))
    writers = RunWriters([publisher], ByteBudget(1_000_000), most=2)
    with pytest.raises(Retry):
        await writers.write(RUNS[0], [BLOCK])
    await log.ensure(points_streams(1)[0])
    for run_id in (*RUNS, RUNS[0]):
        await writers.write(run_id, [BLOCK])
    stored = await frames(log)
    assert {frame.sequence for frame in stored} == {1}
    assert len({frame.writer for frame in stored}) == 5
    await publisher.close()


async def test_what_is_on_its_way_is_bounded_and_given_back(log: MemoryLog) -> None:
    publisher = ShardPublisher(log, points_subject(0))
    budget = ByteBudget(BLOCK.size)
    writers = RunWriters([publisher], budget)
    await budget.acquire(1)
    waiting = asyncio.create_task(writers.write(RUNS[0], [BLOCK]))
    await asyncio.sleep(0)
    assert not waiting.done() and not await frames(log)
    budget.release(1)
    await waiting
    assert budget.held == 0 and len(await frames(log)) == 1
    await publisher.close()


async def test_key_sets_that_were_forgotten_are_made_again(log: MemoryLog) -> None:
    publisher = ShardPublisher(log, points_subject(0))
    writers = RunWriters([publisher], ByteBudget(1_000_000), key_set_bytes=1)
    blocks = [Block((key,), bytes(8), bytes(8), bytes(8)) for key in "abab"]
    await writers.write(RUNS[0], blocks)
    assert [frame.key_set for frame in await frames(log)] == [key_set_hash(block.keys) for block in blocks]
    await publisher.close()
