"""Experiments and runs through the whole service: gRPC in, the log, Postgres, gRPC out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import grpc
import grpc.aio
import pytest

from rekam_proto.event.v1.envelope_pb2 import Origin
from rekam_proto.tracking.v1 import experiment_pb2 as e
from rekam_proto.tracking.v1 import read_pb2
from rekam_proto.tracking.v1 import run_pb2 as r
from rekam_proto.tracking.v1.read_pb2 import Param, Tag
from rekam_runtime.eventlog.jetstream import JetStreamLog
from rekam_runtime.eventlog.port import Draft
from rekam_runtime.rpc.status import error_from_rpc
from rekam_tracking import events
from tests.support.nats import running_nats
from tests.support.postgres import database_url, postgres_server
from tests.support.tracking_service import TrackingService, running_tracking

__all__ = ["database_url", "postgres_server"]

Code = grpc.StatusCode
RUN = "0123456789abcdef0123456789abcdef"


@pytest.fixture
async def tracking(database_url: str) -> AsyncIterator[TrackingService]:
    with running_nats() as nats:
        async with running_tracking(nats.url, database_url) as service:
            yield service


async def get(tracking: TrackingService, run_id: str) -> r.Run:
    return await tracking.runs.GetRun(r.GetRunRequest(run_id=run_id))


async def test_a_run_from_its_creation_to_its_end(tracking: TrackingService) -> None:
    created = await tracking.runs.CreateRun(
        r.CreateRunRequest(
            experiment_name='House "Prices" ☃',
            user="ada",
            start_ms=1_000,
            tags=[Tag(key="note", value="it's")],
            params=[Param(key="depth", value="5")],
            actor="ada",
        )
    )
    assert created.name
    assert created.artifact_uri == f"mlflow-artifacts:/1/{created.run_id}/artifacts"
    await tracking.runs.LogParams(
        r.LogParamsRequest(run_id=created.run_id, params=[Param(key="lr", value="0.1")])
    )
    await tracking.runs.SetTags(
        r.SetTagsRequest(run_id=created.run_id, tags=[Tag(key="mlflow.runName", value="forest")])
    )
    await tracking.runs.DeleteTags(r.DeleteTagsRequest(run_id=created.run_id, keys=["note"]))
    await tracking.runs.UpdateRun(
        r.UpdateRunRequest(run_id=created.run_id, status=r.RUN_STATUS_FINISHED, end_ms=2_000)
    )
    assert await get(tracking, created.run_id) == r.Run(
        run_id=created.run_id,
        experiment_id="1",
        name="forest",
        user="ada",
        status=r.RUN_STATUS_FINISHED,
        start_ms=1_000,
        end_ms=2_000,
        artifact_uri=created.artifact_uri,
        params=[Param(key="depth", value="5"), Param(key="lr", value="0.1")],
        tags=[Tag(key="mlflow.runName", value="forest")],
    )
    found = await tracking.runs.SearchRuns(
        r.SearchRunsRequest(experiment_ids=["1"], filter="params.depth = '5'")
    )
    assert [run.run_id for run in found.runs] == [created.run_id]


async def test_an_experiment_through_its_life(tracking: TrackingService) -> None:
    default = await tracking.experiments.GetExperiment(e.GetExperimentRequest(experiment_id="0"))
    assert (default.name, default.artifact_location) == ("Default", "mlflow-artifacts:/0")
    created = await tracking.experiments.CreateExperiment(
        e.CreateExperimentRequest(name="a", tags=[Tag(key="x", value="1")])
    )
    id = created.experiment_id
    assert await tracking.experiments.EnsureExperiment(e.CreateExperimentRequest(name="a")) == created
    await tracking.experiments.SetExperimentTags(
        e.SetExperimentTagsRequest(experiment_id=id, tags=[Tag(key="y", value="2")])
    )
    await tracking.experiments.DeleteExperimentTags(
        e.DeleteExperimentTagsRequest(experiment_id=id, keys=["x"])
    )
    renamed = await tracking.experiments.RenameExperiment(
        e.RenameExperimentRequest(experiment_id=id, name="b")
    )
    assert await tracking.experiments.GetExperiment(e.GetExperimentRequest(name="b")) == renamed
    run = await tracking.runs.CreateRun(r.CreateRunRequest(experiment_id=id))
    deleted = await tracking.experiments.DeleteExperiment(e.DeleteExperimentRequest(experiment_id=id))
    assert await tracking.experiments.GetExperiment(e.GetExperimentRequest(experiment_id=id)) == deleted
    assert (await get(tracking, run.run_id)).lifecycle == read_pb2.LIFECYCLE_DELETED
    await tracking.experiments.RestoreExperiment(e.RestoreExperimentRequest(experiment_id=id))
    assert (await get(tracking, run.run_id)).lifecycle == read_pb2.LIFECYCLE_ACTIVE
    found = await tracking.experiments.SearchExperiments(e.SearchExperimentsRequest(filter="name = 'b'"))
    assert [experiment.experiment_id for experiment in found.experiments] == [id]


async def test_many_ranks_write_into_one_run(tracking: TrackingService) -> None:
    run = await tracking.runs.CreateRun(r.CreateRunRequest(experiment_id="0"))
    shared = [Param(key=f"p{n}", value=str(n)) for n in range(10)]
    await asyncio.gather(
        *(
            tracking.runs.LogParams(
                r.LogParamsRequest(
                    run_id=run.run_id,
                    params=[*shared, Param(key=f"rank/{n}", value="1")],
                    origin=Origin(writer=f"rank-{n}", sequence=1),
                )
            )
            for n in range(200)
        )
    )
    assert len((await get(tracking, run.run_id)).params) == 210


async def test_a_deleted_run_is_read_but_not_written(tracking: TrackingService) -> None:
    run = await tracking.runs.CreateRun(r.CreateRunRequest(experiment_id="0"))
    for _ in range(2):
        await tracking.runs.DeleteRun(r.DeleteRunRequest(run_id=run.run_id))
    assert (await get(tracking, run.run_id)).lifecycle == read_pb2.LIFECYCLE_DELETED
    state = await tracking.runs.GetRunState(r.GetRunStateRequest(run_id=run.run_id))
    assert (state.lifecycle, state.status) == (read_pb2.LIFECYCLE_DELETED, r.RUN_STATUS_RUNNING)
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await tracking.runs.SetTags(r.SetTagsRequest(run_id=run.run_id, tags=[Tag(key="a", value="b")]))
    assert refusal.value.code() == Code.FAILED_PRECONDITION
    for _ in range(2):
        await tracking.runs.RestoreRun(r.RestoreRunRequest(run_id=run.run_id))
    assert (await get(tracking, run.run_id)).lifecycle == read_pb2.LIFECYCLE_ACTIVE


Call = Callable[[TrackingService], Awaitable[object]]
REFUSALS: list[tuple[Call, Code, str]] = [
    (lambda t: t.runs.CreateRun(r.CreateRunRequest()), Code.INVALID_ARGUMENT, "experiment"),
    (
        lambda t: t.runs.CreateRun(r.CreateRunRequest(experiment_id="x")),
        Code.INVALID_ARGUMENT,
        "experiment_id",
    ),
    (lambda t: t.runs.CreateRun(r.CreateRunRequest(experiment_id="99")), Code.NOT_FOUND, "experiment_id"),
    (
        lambda t: t.runs.CreateRun(r.CreateRunRequest(experiment_name=" ")),
        Code.INVALID_ARGUMENT,
        "experiment_name",
    ),
    (
        lambda t: t.runs.CreateRun(r.CreateRunRequest(experiment_id="0", run_id="x")),
        Code.INVALID_ARGUMENT,
        "run_id",
    ),
    (
        lambda t: t.runs.CreateRun(
            r.CreateRunRequest(experiment_id="0", name="a", tags=[Tag(key="mlflow.runName", value="b")])
        ),
        Code.INVALID_ARGUMENT,
        "name",
    ),
    (
        lambda t: t.runs.CreateRun(r.CreateRunRequest(experiment_id="0", start_ms=-1)),
        Code.INVALID_ARGUMENT,
        "start_ms",
    ),
    (
        lambda t: t.runs.CreateRun(
            r.CreateRunRequest(experiment_id="0", origin=Origin(writer="a b", sequence=1))
        ),
        Code.INVALID_ARGUMENT,
        "origin.writer",
    ),
    (lambda t: t.runs.GetRun(r.GetRunRequest(run_id="x")), Code.INVALID_ARGUMENT, "run_id"),
    (lambda t: t.runs.GetRun(r.GetRunRequest(run_id=RUN)), Code.NOT_FOUND, "run_id"),
    (lambda t: t.runs.GetRunState(r.GetRunStateRequest(run_id=RUN)), Code.NOT_FOUND, "run_id"),
    (lambda t: t.runs.DeleteRun(r.DeleteRunRequest(run_id=RUN)), Code.NOT_FOUND, "run_id"),
    (
        lambda t: t.runs.LogParams(r.LogParamsRequest(run_id=RUN, params=[Param(key="k" * 251)])),
        Code.INVALID_ARGUMENT,
        "params[0].key",
    ),
    (
        lambda t: t.runs.LogParams(
            r.LogParamsRequest(run_id=RUN, params=[Param(key="k", value="v")] * 1_001)
        ),
        Code.INVALID_ARGUMENT,
        "params",
    ),
    (
        lambda t: t.runs.SetTags(r.SetTagsRequest(run_id=RUN, tags=[Tag(key="a", value="x" * 8_001)])),
        Code.INVALID_ARGUMENT,
        "tags[0].value",
    ),
    (
        lambda t: t.runs.SetTags(r.SetTagsRequest(run_id=RUN, tags=[Tag(key="mlflow.runName")])),
        Code.INVALID_ARGUMENT,
        "tags",
    ),
    (
        lambda t: t.runs.DeleteTags(r.DeleteTagsRequest(run_id=RUN, keys=["a//b"])),
        Code.INVALID_ARGUMENT,
        "keys[0]",
    ),
    (
        lambda t: t.runs.UpdateRun(
            r.UpdateRunRequest.FromString(b"\x0a\x20" + RUN.encode() + b"\x10\x63")  # status 99
        ),
        Code.INVALID_ARGUMENT,
        "status",
    ),
    (lambda t: t.experiments.GetExperiment(e.GetExperimentRequest()), Code.INVALID_ARGUMENT, "by"),
    (lambda t: t.experiments.GetExperiment(e.GetExperimentRequest(name="?")), Code.NOT_FOUND, "name"),
    (
        lambda t: t.experiments.CreateExperiment(e.CreateExperimentRequest(name="Default")),
        Code.ALREADY_EXISTS,
        "name",
    ),
    (
        lambda t: t.experiments.CreateExperiment(e.CreateExperimentRequest(name="x" * 501)),
        Code.INVALID_ARGUMENT,
        "name",
    ),
    (
        lambda t: t.experiments.CreateExperiment(
            e.CreateExperimentRequest(name="a", artifact_location="s3://a#b")
        ),
        Code.INVALID_ARGUMENT,
        "artifact_location",
    ),
    (
        lambda t: t.experiments.RestoreExperiment(e.RestoreExperimentRequest(experiment_id="0")),
        Code.NOT_FOUND,
        "experiment_id",
    ),
]


async def test_every_bad_input_is_refused_by_field_and_rule(tracking: TrackingService) -> None:
    for number, (call, code, field) in enumerate(REFUSALS):
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await call(tracking)
        assert refusal.value.code() == code, number
        error = error_from_rpc(refusal.value)
        assert error.field == field, number
        assert error.message


async def test_a_changed_param_is_refused_and_nothing_of_the_request_is_stored(
    tracking: TrackingService,
) -> None:
    run = await tracking.runs.CreateRun(
        r.CreateRunRequest(experiment_id="0", params=[Param(key="k", value="a")])
    )
    with pytest.raises(grpc.aio.AioRpcError, match="Changing param values is not allowed"):
        await tracking.runs.LogParams(
            r.LogParamsRequest(
                run_id=run.run_id, params=[Param(key="new", value="1"), Param(key="k", value="b")]
            )
        )
    assert [param.key for param in (await get(tracking, run.run_id)).params] == ["k"]


async def test_a_record_nobody_can_read_does_not_stop_the_projection(database_url: str) -> None:
    with running_nats() as nats:
        async with running_tracking(nats.url, database_url) as tracking:
            log = await JetStreamLog.connect(nats.url, "test")
            await log.append(Draft("rekam.tracking.run.x", b"\xff\xff", "poison"))
            run = await tracking.runs.CreateRun(r.CreateRunRequest(experiment_id="0"))
            assert (await get(tracking, run.run_id)).run_id == run.run_id
            assert await log.last_position("REKAM_TRACKING_QUARANTINE") == 1
            await log.close()


async def test_a_reset_leaves_the_service_as_new(database_url: str) -> None:
    with running_nats() as nats:
        async with running_tracking(nats.url, database_url) as tracking:
            run = await tracking.runs.CreateRun(r.CreateRunRequest(experiment_name="a"))
            await get(tracking, run.run_id)
            log = await JetStreamLog.connect(nats.url, "test")
            await log.purge(events.STREAM)
            await log.close()
            await tracking.reset()
            found = await tracking.experiments.SearchExperiments(e.SearchExperimentsRequest())
            assert [experiment.name for experiment in found.experiments] == ["Default"]
            with pytest.raises(grpc.aio.AioRpcError) as missing:
                await get(tracking, run.run_id)
            assert missing.value.code() == Code.NOT_FOUND
            again = await tracking.runs.CreateRun(r.CreateRunRequest(experiment_name="a"))
            assert (await get(tracking, again.run_id)).experiment_id == "1"
