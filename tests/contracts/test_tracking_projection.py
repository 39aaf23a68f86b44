"""Control events to rows: one batch or many, the tables say what the log says."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import UUID

import pytest
from google.protobuf.message import Message

from rekam_proto.tracking.v1 import run_pb2
from rekam_proto.tracking.v1.experiment_pb2 import (
    ExperimentCreated,
    ExperimentDeleted,
    ExperimentRenamed,
    ExperimentRestored,
    ExperimentTagsDeleted,
    ExperimentTagsSet,
)
from rekam_proto.tracking.v1.read_pb2 import Param, Tag
from rekam_proto.tracking.v1.run_pb2 import (
    ParamsLogged,
    RunCreated,
    RunDeleted,
    RunRestored,
    RunUpdated,
    TagsDeleted,
    TagsSet,
)
from rekam_runtime.errors import Quarantine
from rekam_runtime.eventlog.envelope import Cause, wrap
from rekam_runtime.eventlog.memory import MemoryLog
from rekam_runtime.eventlog.port import Record
from rekam_runtime.postgres import Pool, connect_pool, migrate
from rekam_tracking import control, events
from tests.support.tracking import Replica

A, B, C = ("a" * 32, "b" * 32, "c" * 32)
_positions = itertools.count(1)

STORY: list[Message] = [
    ExperimentCreated(
        experiment_id="1", name="one", artifact_location="x:/1", created_ms=5, tags=[Tag(key="t", value="1")]
    ),
    ExperimentCreated(experiment_id="2", name="two", artifact_location="x:/2", created_ms=6),
    RunCreated(
        run_id=A,
        experiment_id="1",
        name="n",
        tags=[Tag(key="mlflow.runName", value="n"), Tag(key="x", value="1")],
    ),
    RunCreated(
        run_id=B,
        experiment_id="1",
        name="m",
        start_ms=9,
        user="ada",
        artifact_uri="x:/1/b",
        params=[Param(key="p", value="1")],
    ),
    ExperimentRenamed(experiment_id="1", name="three", updated_ms=7),
    ExperimentRenamed(experiment_id="2", name="one", updated_ms=7),
    ExperimentCreated(experiment_id="3", name="two", created_ms=8),
    TagsSet(run_id=A, tags=[Tag(key="mlflow.runName", value="k"), Tag(key="y", value="☃ 'q' \\")]),
    TagsDeleted(run_id=A, keys=["x"]),
    ParamsLogged(run_id=A, params=[Param(key="lr", value="0.1")]),
    RunUpdated(run_id=A, status=run_pb2.RUN_STATUS_FINISHED, end_ms=11),
    ExperimentDeleted(experiment_id="1", updated_ms=20),
    # Decided while the experiment was being deleted.
    RunCreated(run_id=C, experiment_id="1", name="late"),
    RunRestored(run_id=B),
    ExperimentTagsSet(experiment_id="1", tags=[Tag(key="t", value="2"), Tag(key="u", value="3")]),
    ExperimentTagsDeleted(experiment_id="1", keys=["t", "unset"]),
    RunUpdated(run_id=A, name="z"),
    RunUpdated(run_id=A, end_ms=0),
]

EXPERIMENTS = [
    (1, "three", "x:/1", 1, 5, 20),
    (2, "one", "x:/2", 0, 6, 7),
    (3, "two", "", 0, 8, 8),
]
RUNS = [
    (UUID(A), 1, "z", "", run_pb2.RUN_STATUS_FINISHED, None, None, 1, ""),
    (UUID(B), 1, "m", "ada", run_pb2.RUN_STATUS_RUNNING, 9, None, 0, "x:/1/b"),
    (UUID(C), 1, "late", "", run_pb2.RUN_STATUS_RUNNING, None, None, 1, ""),
]
TAGS = [(UUID(A), "mlflow.runName", "z"), (UUID(A), "y", "☃ 'q' \\")]
PARAMS = [(UUID(A), "lr", "0.1"), (UUID(B), "p", "1")]


def record(event: Message) -> Record:
    envelope = wrap(event, Cause("test"), aggregate="")
    return Record(next(_positions), "rekam.tracking.test", envelope.SerializeToString())


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    await migrate(database_url, "rekam_tracking")
    opened = await connect_pool(database_url, max_size=2, application_name="tracking tests")
    yield opened
    await opened.close()


async def project(pool: Pool, records: Sequence[Record]) -> None:
    async with pool.acquire() as connection, connection.transaction():
        await control.PART.apply(connection, records)


async def rows(pool: Pool, query: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in await pool.fetch(query)]


async def expect_story(pool: Pool) -> None:
    columns = "experiment_id, name, artifact_location, lifecycle, created_ms, updated_ms"
    assert await rows(pool, f"SELECT {columns} FROM experiments ORDER BY 1") == EXPERIMENTS
    columns = "run_id, experiment_id, name, user_name, status, start_ms, end_ms, lifecycle, artifact_uri"
    assert await rows(pool, f"SELECT {columns} FROM runs ORDER BY 1") == RUNS
    assert await rows(pool, "SELECT run_id, key, value FROM tags ORDER BY 1, 2") == TAGS
    assert await rows(pool, "SELECT run_id, key, value FROM params ORDER BY 1, 2") == PARAMS
    assert await rows(pool, "SELECT * FROM experiment_tags") == [(1, "u", "3")]


async def test_one_batch_says_the_same_as_one_by_one(pool: Pool) -> None:
    for event in STORY:
        await project(pool, [record(event)])
    await expect_story(pool)


@pytest.mark.parametrize("cut", [3, 8, 12, len(STORY)])
async def test_batches_may_be_cut_anywhere(pool: Pool, cut: int) -> None:
    records = [record(event) for event in STORY]
    await project(pool, records[:cut])
    await project(pool, records[cut:])
    await expect_story(pool)


async def test_restoring_an_experiment_brings_back_all_its_runs(pool: Pool) -> None:
    more = [RunDeleted(run_id=B), ExperimentRestored(experiment_id="1", updated_ms=30), RunDeleted(run_id=C)]
    await project(pool, [record(event) for event in STORY + more])
    assert await rows(pool, "SELECT lifecycle FROM runs ORDER BY run_id") == [(0,), (0,), (1,)]


async def test_a_thousand_runs_are_a_handful_of_statements(pool: Pool) -> None:
    runs = [
        RunCreated(
            run_id=f"{n:032x}",
            experiment_id="1",
            name=f"n{n}",
            tags=[Tag(key="mlflow.runName", value=f"n{n}"), Tag(key="x", value="1")],
            params=[Param(key=f"p{k}", value="1") for k in range(10)],
        )
        for n in range(1_000)
    ]
    executed: list[str] = []
    async with pool.acquire() as connection, connection.transaction():
        with connection.query_logger(lambda query: executed.append(query.query)):
            await control.PART.apply(connection, [record(run) for run in runs])
    assert len(executed) <= 5
    assert await pool.fetchval("SELECT count(*) FROM params") == 10_000


async def test_what_cannot_be_read_is_for_quarantine(pool: Pool) -> None:
    unknown = wrap(run_pb2.RunState(), Cause("test"), aggregate="").SerializeToString()
    envelope = wrap(STORY[0], Cause("test"), aggregate="")
    envelope.schema_version = 9
    newer = envelope.SerializeToString()
    for data in (b"\xff\xff", unknown, newer):
        with pytest.raises(Quarantine):
            await project(pool, [Record(next(_positions), "rekam.tracking.test", data)])
    assert await pool.fetchval("SELECT count(*) FROM experiments") == 0


async def test_rows_say_what_the_fold_says(pool: Pool) -> None:
    log = MemoryLog()
    replica = await Replica.start(log)
    run = await replica.run(params={"a": "1"}, tags={"t": "1"})
    await replica.runs.log_params(run.run_id, {"b": "2"}, Cause())
    await replica.runs.set_tags(run.run_id, {"mlflow.runName": "other"}, Cause())
    await replica.finish(run.run_id)
    await project(pool, await log.read(events.STREAM, ">"))
    state, _ = await replica.runs.state(run.run_id)
    row = await pool.fetchrow("SELECT name, user_name, status, start_ms, end_ms, artifact_uri FROM runs")
    assert row is not None
    assert tuple(row) == (
        state.name,
        state.user,
        state.status,
        state.start_ms,
        state.end_ms,
        state.artifact_uri,
    )
    assert dict(await rows(pool, "SELECT key, value FROM params")) == state.params
    assert dict(await rows(pool, "SELECT key, value FROM tags")) == state.tags
