"""When writers were heard, in a real Postgres: by a gateway's clock, never back, and who is watched."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from rekam_proto.tracking.v1 import metric_pb2
from rekam_tracking.metrics import query
from tests.support.metrics import MetricStore, Row, SentFrame, heartbeat, metric_store, record, stored

FRAME_KEYS = ("loss",)


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[MetricStore]:
    async with metric_store(database_url) as opened:
        yield opened


def frame(run_id: str, sequence: int, writer: str = "w") -> SentFrame:
    return SentFrame(run_id, FRAME_KEYS, sequence, (Row(sequence, sequence, (0.0,)),), writer=writer)


async def writers(
    store: MetricStore, run_id: str, crashed_after_s: float = 60
) -> dict[str, metric_pb2.WriterCompleteness]:
    async with store.reading() as connection:
        answer = await query.completeness(connection, run_id, crashed_after_s)
    return {writer.writer: writer for writer in answer.writers}


async def watched(store: MetricStore) -> set[str]:
    return {row["run_id"].hex for row in await store.pool.fetch("SELECT run_id FROM watched_runs")}


async def test_a_writer_is_heard_before_it_logs(store: MetricStore) -> None:
    run_id = await store.new_run()
    await store.apply_records(record([], others=[heartbeat(run_id, rank=3)], time_us=1_000))
    writer = (await writers(store, run_id))["w"]
    assert (writer.rank, writer.heard_us, writer.heartbeat_ms) == (3, 1_000, 15_000)
    assert (writer.points, writer.greatest, list(writer.gaps)) == (0, 0, [])
    assert await watched(store) == {run_id}


async def test_frames_say_that_a_writer_lives_but_not_that_it_is_watched(store: MetricStore) -> None:
    run_id = await store.new_run()
    sent = [stored(frame(run_id, 1))]
    await store.apply_records(record(sent, [FRAME_KEYS], time_us=1_000))
    writer = (await writers(store, run_id))["w"]
    assert writer.heard_us == 1_000
    assert not writer.HasField("heartbeat_ms")
    assert not writer.HasField("alive")
    assert await watched(store) == set()


async def test_what_is_delivered_again_or_late_does_not_turn_back_the_time(store: MetricStore) -> None:
    run_id = await store.new_run()
    early = record([stored(frame(run_id, 1))], [FRAME_KEYS], others=[heartbeat(run_id)], time_us=1_000)
    late = record([stored(frame(run_id, 2))], [FRAME_KEYS], others=[heartbeat(run_id)], time_us=2_000)
    await store.apply_records(early, late, early)
    await store.apply_records(late)
    await store.apply_records(early)
    writer = (await writers(store, run_id))["w"]
    assert (writer.heard_us, writer.points, writer.complete_up_to) == (2_000, 2, 2)
    beat_us = await store.pool.fetchval("SELECT beat_us FROM writers WHERE run_id = $1", run_id)
    assert beat_us == 2_000


async def test_a_writer_is_alive_as_long_as_its_heartbeats_may_take(store: MetricStore) -> None:
    run_id = await store.new_run()
    day_ms = 24 * 60 * 60 * 1000
    beats = [heartbeat(run_id, "often"), heartbeat(run_id, "seldom", interval_ms=day_ms)]
    await store.apply_records(record([], others=beats, time_us=1_000))
    await store.apply_records(record([], others=[heartbeat(run_id, "now")]))
    alive = {name: writer.alive for name, writer in (await writers(store, run_id)).items()}
    assert alive == {"often": False, "seldom": False, "now": True}
    assert all(writer.alive for writer in (await writers(store, run_id, 10**10)).values())
