"""Logged models from their creation to their deletion, on real NATS and Postgres."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Awaitable

import grpc
import grpc.aio
import pytest

from rekam_proto.event.v1.envelope_pb2 import Origin
from rekam_proto.tracking.v1 import logged_model_pb2 as m
from rekam_proto.tracking.v1 import logged_model_pb2_grpc, read_pb2
from rekam_proto.tracking.v1.read_pb2 import Param, Tag
from tests.support.nats import running_nats
from tests.support.postgres import database_url, postgres_server
from tests.support.tracking_service import TrackingService, running_tracking

__all__ = ["database_url", "postgres_server"]

Code = grpc.StatusCode
MODEL = "m-0123456789abcdef0123456789abcdef"


@pytest.fixture
async def tracking(database_url: str) -> AsyncIterator[TrackingService]:
    with running_nats() as nats:
        async with running_tracking(nats.url, database_url) as service:
            yield service


async def refused(call: Awaitable[object]) -> grpc.StatusCode:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await call
    return error.value.code()


async def test_a_model_from_its_creation_to_its_deletion(tracking: TrackingService) -> None:
    stub = logged_model_pb2_grpc.LoggedModelServiceStub(tracking.channel)
    creation = m.CreateLoggedModelRequest(
        model_id=MODEL,
        experiment_id="0",
        model_type="regressor",
        source_run_id="f" * 32,
        tags=[Tag(key="team", value="search"), Tag(key="note", value="x")],
        params=[Param(key="depth", value="5")],
        origin=Origin(writer="w", sequence=1),
    )
    created = await stub.CreateLoggedModel(creation)
    assert created.name
    assert created.artifact_uri == f"mlflow-artifacts:/0/models/{MODEL}/artifacts"
    assert created.status == m.LOGGED_MODEL_STATUS_PENDING
    assert await stub.CreateLoggedModel(creation) == created
    assert await stub.GetLoggedModel(m.GetLoggedModelRequest(model_id=MODEL)) == created
    values = [
        m.LoggedModelMetric(key="acc", value=value, step=1, time_us=time, dataset_name="d", run_id="f" * 32)
        for time, value in ((2, math.inf), (1, 0.5), (1, 0.5))
    ]
    for _ in range(2):
        await stub.LogLoggedModelMetrics(m.LogLoggedModelMetricsRequest(model_id=MODEL, metrics=values))
        # Projected before they come again: equal ones of one batch are not all that is passed over.
        await stub.GetLoggedModel(m.GetLoggedModelRequest(model_id=MODEL))
    lr = Param(key="lr", value="0.1")
    await stub.LogLoggedModelParams(m.LogLoggedModelParamsRequest(model_id=MODEL, params=[lr]))
    versions = Tag(key="mlflow.modelVersions", value="[]")
    await stub.SetLoggedModelTags(m.SetLoggedModelTagsRequest(model_id=MODEL, tags=[versions]))
    await stub.DeleteLoggedModelTags(m.DeleteLoggedModelTagsRequest(model_id=MODEL, keys=["note"]))
    ready = await stub.FinalizeLoggedModel(
        m.FinalizeLoggedModelRequest(model_id=MODEL, status=m.LOGGED_MODEL_STATUS_READY)
    )
    ready.metrics.extend([values[1], values[0]])
    got = await stub.GetLoggedModel(m.GetLoggedModelRequest(model_id=MODEL))
    assert got == ready
    assert list(got.tags) == [versions, Tag(key="team", value="search")]
    assert list(got.params) == [Param(key="depth", value="5"), lr]
    search = m.SearchLoggedModelsRequest(experiment_ids=["0"], filter=f"name = '{created.name}'")
    assert list((await stub.SearchLoggedModels(search)).models) == [got]
    for _ in range(2):
        await stub.DeleteLoggedModel(m.DeleteLoggedModelRequest(model_id=MODEL))
    assert not (await stub.SearchLoggedModels(search)).models
    assert await refused(stub.GetLoggedModel(m.GetLoggedModelRequest(model_id=MODEL))) is Code.NOT_FOUND
    gone = await stub.GetLoggedModel(m.GetLoggedModelRequest(model_id=MODEL, allow_deleted=True))
    assert gone.lifecycle == read_pb2.LIFECYCLE_DELETED
    assert gone.updated_ms >= ready.updated_ms


async def test_refusals(tracking: TrackingService) -> None:
    stub = logged_model_pb2_grpc.LoggedModelServiceStub(tracking.channel)
    model = (await stub.CreateLoggedModel(m.CreateLoggedModelRequest(experiment_id="0"))).model_id
    another = m.CreateLoggedModelRequest(experiment_id="0", model_id=model)
    changed = m.LogLoggedModelParamsRequest(model_id=model, params=[Param(key="a", value="2")])
    await stub.LogLoggedModelParams(
        m.LogLoggedModelParamsRequest(model_id=model, params=[Param(key="a", value="1")])
    )
    calls: list[tuple[Awaitable[object], grpc.StatusCode]] = [
        (stub.CreateLoggedModel(another), Code.ALREADY_EXISTS),
        (stub.CreateLoggedModel(m.CreateLoggedModelRequest(experiment_id="99")), Code.NOT_FOUND),
        (
            stub.CreateLoggedModel(m.CreateLoggedModelRequest(experiment_id="0", name="a/b")),
            Code.INVALID_ARGUMENT,
        ),
        (
            stub.CreateLoggedModel(m.CreateLoggedModelRequest(experiment_id="0", model_id="m-1")),
            Code.INVALID_ARGUMENT,
        ),
        (stub.GetLoggedModel(m.GetLoggedModelRequest(model_id=MODEL)), Code.NOT_FOUND),
        (stub.GetLoggedModel(m.GetLoggedModelRequest(model_id="*")), Code.NOT_FOUND),
        (stub.DeleteLoggedModel(m.DeleteLoggedModelRequest(model_id="m-1")), Code.NOT_FOUND),
        (
            stub.FinalizeLoggedModel(m.FinalizeLoggedModelRequest(model_id=model)),
            Code.INVALID_ARGUMENT,
        ),
        (
            stub.DeleteLoggedModelTags(m.DeleteLoggedModelTagsRequest(model_id=model, keys=["x"])),
            Code.NOT_FOUND,
        ),
        (stub.DeleteLoggedModel(m.DeleteLoggedModelRequest(model_id=MODEL)), Code.NOT_FOUND),
        (stub.LogLoggedModelParams(changed), Code.INVALID_ARGUMENT),
        (
            stub.LogLoggedModelMetrics(
                m.LogLoggedModelMetricsRequest(model_id=model, metrics=[m.LoggedModelMetric(key="//")])
            ),
            Code.INVALID_ARGUMENT,
        ),
    ]
    for call, code in calls:
        assert await refused(call) is code
