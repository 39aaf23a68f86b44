"""Datasets and models that runs read and make, on real NATS and Postgres."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Awaitable

import grpc.aio
import pytest

from rekam_proto.tracking.v1 import dataset_pb2 as d
from rekam_proto.tracking.v1 import dataset_pb2_grpc
from rekam_proto.tracking.v1 import run_pb2 as r
from rekam_proto.tracking.v1.read_pb2 import Tag
from rekam_runtime.errors import Invalid
from rekam_runtime.rpc.status import error_from_rpc
from rekam_tracking import rules
from tests.support.nats import running_nats
from tests.support.postgres import database_url, postgres_server
from tests.support.tracking_service import TrackingService, running_tracking

__all__ = ["database_url", "postgres_server"]


@pytest.fixture
async def tracking(database_url: str) -> AsyncIterator[TrackingService]:
    with running_nats() as nats:
        async with running_tracking(nats.url, database_url) as service:
            yield service


def dataset(name: str, context: str, source: str = "a.csv") -> d.DatasetInput:
    return d.DatasetInput(
        dataset=d.Dataset(name=name, digest="1", source_type="local", source=source, schema="s", profile="p"),
        tags=[Tag(key="mlflow.data.context", value=context)] if context else [],
    )


async def new_run(tracking: TrackingService) -> str:
    return (await tracking.runs.CreateRun(r.CreateRunRequest(experiment_id="0"))).run_id


async def log(tracking: TrackingService, run_id: str, *inputs: d.DatasetInput) -> None:
    await tracking.runs.LogInputs(r.LogInputsRequest(run_id=run_id, datasets=inputs))


async def test_a_run_says_what_it_read_and_made(tracking: TrackingService) -> None:
    first, second = await new_run(tracking), await new_run(tracking)
    prices = dataset("prices", "training")
    await log(tracking, first, prices, dataset("houses", ""))
    await log(tracking, first, dataset("prices", "eval"))
    # What was logged first of a dataset stays, also for other runs, in the same batch or a later one.
    await log(tracking, second, dataset("houses", "", source="b.csv"))
    await tracking.runs.GetRun(r.GetRunRequest(run_id=first))
    await log(tracking, second, dataset("prices", "eval", source="b.csv"))
    models = [r.ModelInput(model_id="m-1")]
    await tracking.runs.LogInputs(r.LogInputsRequest(run_id=first, models=models))
    outputs = [r.ModelOutput(model_id="m-2", step=7), r.ModelOutput(model_id="m-3", step=-1)]
    for model in (*outputs, *outputs):
        await tracking.runs.LogOutputs(r.LogOutputsRequest(run_id=first, models=[model]))
    got = await tracking.runs.GetRun(r.GetRunRequest(run_id=first))
    assert got.inputs == r.RunInputs(datasets=[dataset("houses", ""), prices], models=models)
    assert got.outputs == r.RunOutputs(models=outputs[::-1])
    other = await tracking.runs.GetRun(r.GetRunRequest(run_id=second))
    assert list(other.inputs.datasets) == [dataset("houses", ""), dataset("prices", "eval")]
    assert not other.HasField("outputs")
    found = await tracking.runs.SearchRuns(
        r.SearchRunsRequest(experiment_ids=["0"], filter="datasets.context = 'training'")
    )
    assert [run.run_id for run in found.runs] == [first]
    assert found.runs[0].inputs == r.RunInputs(datasets=got.inputs.datasets)
    assert found.runs[0].outputs == got.outputs
    summaries = await dataset_pb2_grpc.DatasetServiceStub(tracking.channel).SearchDatasets(
        d.SearchDatasetsRequest(experiment_ids=["0", "1"])
    )
    assert list(summaries.datasets) == [
        d.DatasetSummary(experiment_id="0", name="houses", digest="1"),
        d.DatasetSummary(experiment_id="0", name="prices", digest="1", context="eval"),
        d.DatasetSummary(experiment_id="0", name="prices", digest="1", context="training"),
    ]


async def test_a_large_schema_is_stored_compressed(tracking: TrackingService) -> None:
    run = await new_run(tracking)
    large = d.Dataset(name="wide", digest="1", schema="é" * rules.MAX_SCHEMA, profile='{"rows": 1}' * 100_000)
    await log(tracking, run, d.DatasetInput(dataset=large))
    got = await tracking.runs.GetRun(r.GetRunRequest(run_id=run))
    assert got.inputs.datasets[0].dataset == large
    # More than the log takes, even compressed.
    noise = d.Dataset(name="noise", digest="1", profile=secrets.token_hex(1_200_000))
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await log(tracking, run, d.DatasetInput(dataset=noise))
    error = error_from_rpc(refused.value)
    assert isinstance(error, Invalid)
    assert "compressed" in error.message
    again = await tracking.runs.GetRun(r.GetRunRequest(run_id=run))
    assert again.inputs == got.inputs


async def test_refusals_name_the_field(tracking: TrackingService) -> None:
    run = await new_run(tracking)
    stub = dataset_pb2_grpc.DatasetServiceStub(tracking.channel)
    nameless = d.DatasetInput(dataset=d.Dataset(digest="1"))
    long = dataset("a", "x" * 501)
    wide = d.DatasetInput(dataset=d.Dataset(name="a", digest="1", schema="x" * (rules.MAX_SCHEMA + 1)))
    huge = d.DatasetInput(dataset=d.Dataset(name="a", digest="1", profile="x" * rules.MAX_INPUTS_BYTES))
    calls: list[tuple[Awaitable[object], str]] = [
        (
            tracking.runs.LogInputs(r.LogInputsRequest(run_id=run, datasets=[nameless])),
            "datasets[0].dataset.name",
        ),
        (
            tracking.runs.LogInputs(r.LogInputsRequest(run_id=run, datasets=[long])),
            "datasets[0].tags[0].value",
        ),
        (
            tracking.runs.LogInputs(r.LogInputsRequest(run_id=run, datasets=[wide])),
            "datasets[0].dataset.schema",
        ),
        (tracking.runs.LogInputs(r.LogInputsRequest(run_id=run, datasets=[huge])), "datasets"),
        (
            tracking.runs.LogOutputs(r.LogOutputsRequest(run_id=run, models=[r.ModelOutput()])),
            "models[0].model_id",
        ),
        (stub.SearchDatasets(d.SearchDatasetsRequest()), "experiment_ids"),
        (stub.SearchDatasets(d.SearchDatasetsRequest(experiment_ids=["0"] * 21)), "experiment_ids"),
    ]
    for call, field in calls:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call
        error = error_from_rpc(refused.value)
        assert isinstance(error, Invalid)
        assert error.field == field
