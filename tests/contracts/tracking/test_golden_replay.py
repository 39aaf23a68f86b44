"""Every event ever stored, replayed by the real projection: from a log, an archive, stored segments."""

from __future__ import annotations

import asyncio
import math
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest

from rekam_runtime.archive import ArchivedLog
from rekam_runtime.archive.names import SegmentName, sha256_of
from rekam_runtime.archive.segment import check_whole, read_block, read_records
from rekam_runtime.blobs.memory import MemoryStore
from rekam_runtime.eventlog.memory import MemoryLog
from rekam_runtime.eventlog.port import Draft, EventLog, StreamSpec
from rekam_runtime.postgres import Pool, connect_pool, migrate
from rekam_runtime.projection import Projector, quarantine_stream
from rekam_tracking import control
from rekam_tracking.points import PointsProjection
from tests.golden.samples import all_samples
from tests.golden.story import LOG_ID, STREAMS, records, segment_file
from tests.support.archive import AgedLog
from tests.support.metrics import MetricStore, bits

CONTROL, POINTS, *_ = STREAMS
RUN = uuid.UUID("3f2a9c0d1e4b5a6978879605a4b3c2d1")
FORMAT_VERSIONS = (1,)


def test_every_sample_has_its_place_in_the_story() -> None:
    told = [sample.name for story in STREAMS.values() for sample in story]
    assert set(told) == {sample.name for sample in all_samples()}


@pytest.mark.parametrize("stream", STREAMS)
@pytest.mark.parametrize("version", FORMAT_VERSIONS)
def test_a_stored_segment_still_says_the_same(stream: str, version: int) -> None:
    data = segment_file(stream, version).read_bytes()
    index = check_whole("golden", data)
    assert (index.stream, index.log_id, index.first) == (stream, LOG_ID, 1)
    told = [each for block in index.blocks for each in read_records("golden", block, block.part_of(data))]
    story = records(stream)[: index.last]
    assert told == story
    assert [each.time_us for each in told] == [each.time_us for each in story]
    assert index.context is not None
    assert read_block("golden", index.context, index.context.part_of(data)) == b"golden context"


async def appended() -> MemoryLog:
    """A log with the story."""
    log = MemoryLog(LOG_ID.removesuffix("-0"))
    await log.ensure(quarantine_stream("tracking"))
    for stream in STREAMS:
        await log.ensure(StreamSpec(stream, (f"{stream}.>",)))
        for each in records(stream):
            await log.append(Draft(each.subject, each.data, uuid.uuid4().hex))
    return log


async def from_stored_segments(version: int) -> EventLog:
    """A log that has of the story only what came after the segments were stored."""
    log, store = await appended(), MemoryStore()
    for stream in STREAMS:
        data = segment_file(stream, version).read_bytes()
        last = check_whole("golden", data).last
        await store.put(SegmentName(stream, LOG_ID, 1, last, sha256_of(data)).key, data)
        await log.drop(stream, last)
    return ArchivedLog(log, store)


@pytest.fixture(params=["log", "archive", *(f"segments v{version}" for version in FORMAT_VERSIONS)])
async def log(request: pytest.FixtureRequest) -> EventLog:
    if request.param == "log":
        return await appended()
    if request.param == "archive":
        return AgedLog(await appended(), MemoryStore())
    return await from_stored_segments(int(request.param.partition(" v")[2]))


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    await migrate(database_url, "rekam_tracking")
    opened = await connect_pool(database_url, application_name="golden replay")
    yield opened
    await opened.close()


async def replay(log: EventLog, pool: Pool) -> None:
    """Project both streams to their ends."""
    points = PointsProjection()
    projectors = {
        CONTROL: Projector(log, pool, stream=CONTROL, service="tracking", apply=control.PART.apply),
        POINTS: Projector(
            log, pool, stream=POINTS, service="tracking", apply=points.apply, rolled_back=points.forget
        ),
    }
    running = [asyncio.create_task(projector.run()) for projector in projectors.values()]
    try:
        async with asyncio.timeout(30):
            while True:
                for task in running:
                    if task.done():
                        await task
                if all(one.position == len(STREAMS[stream]) for stream, one in projectors.items()):
                    return
                await asyncio.sleep(0.01)
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def rows(pool: Pool, query: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in await pool.fetch(query)]


async def test_the_story_becomes_the_rows_that_it_always_became(log: EventLog, pool: Pool) -> None:
    await replay(log, pool)
    assert await rows(pool, "SELECT stream, position, reason FROM quarantine") == [
        (POINTS, 1, "Quarantine: key_set.hash is not that of the keys")
    ]
    columns = "experiment_id, name, artifact_location, lifecycle, created_ms, updated_ms"
    assert await rows(pool, f"SELECT {columns} FROM experiments") == [
        (12, "House Price", "mlflow-artifacts:/12", 0, 1700000000123, 1700000003123)
    ]
    assert await rows(pool, "SELECT experiment_id, key, value FROM experiment_tags") == [
        (12, "team", "search")
    ]
    columns = "run_id, experiment_id, name, user_name, status, start_ms, end_ms, lifecycle, artifact_uri"
    uri = f"mlflow-artifacts:/12/{RUN.hex}/artifacts"
    assert await rows(pool, f"SELECT {columns} FROM runs") == [
        (RUN, 12, "renamed", "ada", 3, 1700000000456, 1700000009456, 0, uri)
    ]
    assert await rows(pool, "SELECT key, value FROM params ORDER BY 1") == [
        ("max_depth", "5"),
        ("n_estimators", "100"),
        ("ключ/with space", ""),
    ]
    assert await rows(pool, "SELECT key, value FROM tags") == [("mlflow.runName", "renamed")]
    assert await rows(pool, "SELECT run_id, writer, rank, points, heartbeat_ms FROM writers") == [
        (RUN, "w.0-a_b", 0, 4, 15000)
    ]
    assert await rows(pool, "SELECT run_id, stream, lines FROM text_streams") == [(RUN, "stdout", 2)]
    assert await rows(pool, "SELECT * FROM datasets") == [
        (
            12,
            "house prices",
            "3f2a9c0d",
            "local",
            '{"uri": "prices.csv"}',
            '{"mlflow_colspec": []}',
            '{"num_rows": 1460}',
        )
    ]
    assert await rows(pool, "SELECT * FROM dataset_inputs") == [
        (RUN, "house prices", "3f2a9c0d", 12, "training", ["mlflow.data.context"], ["training"])
    ]
    assert await rows(pool, "SELECT * FROM model_inputs") == [(RUN, "m-00112233445566778899aabbccddeeff")]
    assert await rows(pool, "SELECT * FROM model_outputs") == [(RUN, f"m-{RUN.hex}", -7)]
    model = f"m-{RUN.hex}"
    uri = f"mlflow-artifacts:/12/models/{model}/artifacts"
    assert await rows(pool, "SELECT * FROM logged_models") == [
        (model, 12, "forest", 2, 1, 1700000010123, 1700000012123, uri, "regressor", RUN.hex)
    ]
    assert await rows(pool, "SELECT key, value FROM logged_model_params ORDER BY 1") == [
        ("max_depth", "5"),
        ("n_estimators", "100"),
    ]
    assert await rows(pool, "SELECT key FROM logged_model_tags") == [("mlflow.modelVersions",)]
    columns = "key, value::text, step, time_us, dataset_name, dataset_digest, run_id"
    assert await rows(pool, f"SELECT {columns} FROM logged_model_metrics ORDER BY key") == [
        ("loss", "NaN", 0, 0, "", "", RUN.hex),
        ("val/r2 score", "0.875", -7, 1700000011000001, "house prices", "3f2a9c0d", RUN.hex),
    ]
    metrics = MetricStore(pool)
    places = ((1_700_000_000_000_001, -1), (1_700_000_000_000_002, 2**62))
    for key, values in {"loss": (0.5, math.inf), "val/r2 score": (-math.inf, -0.0)}.items():
        told = [(*place, bits(value)) for place, value in zip(places, values, strict=True)]
        assert await metrics.series(RUN.hex, key) == told
