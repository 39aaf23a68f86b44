"""What is rebuilt from the log equals what was projected live; what cannot be applied is kept aside."""

from __future__ import annotations

import random
import uuid

import grpc
import grpc.aio
import pytest

from rekam_proto.event.v1.envelope_pb2 import Envelope
from rekam_proto.log.v1 import log_pb2
from rekam_proto.registry.v1 import model_pb2, version_pb2
from rekam_proto.registry.v1.read_pb2 import AsOf, By
from rekam_registry import events
from rekam_runtime.eventlog.envelope import Cause, draft, wrap
from rekam_runtime.eventlog.jetstream import JetStreamLog
from tests.contracts.registry.test_histories import History, check
from tests.support.registry_service import RegistryClient, RegistryService


async def rebuilt(client: RegistryClient) -> log_pb2.Rebuild:
    started = await client.log.StartRebuild(log_pb2.StartRebuildRequest(service="registry", actor="ada"))
    watched = log_pb2.WatchRebuildRequest(service="registry", id=started.id)
    return [standing async for standing in client.log.WatchRebuild(watched)][-1]


async def test_a_rebuild_equals_what_is_read(registry: RegistryService, log: JetStreamLog) -> None:
    choose = random.Random(11)
    history = History(choose, registry.client, log)
    await history.go_on(150)
    done = await rebuilt(registry.client)
    assert done.state == log_pb2.REBUILD_STATE_DONE, done
    assert not done.differing
    for as_of, twin in choose.sample(history.moments, 20):
        await check(registry.client, as_of, twin, choose)
    # It goes on from there.
    await history.go_on(30)
    as_of, twin = history.moments[-1]
    await check(registry.client, as_of, twin, choose)


async def test_what_cannot_be_applied_is_set_aside_and_the_rest_goes_on(
    registry: RegistryService, log: JetStreamLog
) -> None:
    client = registry.client
    unknown = wrap(Envelope(), Cause("test"), aggregate="x")
    at = await log.append(draft(events.model_subject(uuid.uuid4().hex), unknown))
    orphan = version_pb2.VersionUpdated(model_id=uuid.uuid4().hex, version=1, name="gone")
    envelope = wrap(orphan, Cause("test"), aggregate="x")
    behind = await log.append(draft(events.model_subject(orphan.model_id), envelope))
    await client.models.CreateRegisteredModel(
        model_pb2.CreateRegisteredModelRequest(name="m", by=By(actor="ada"))
    )
    found = await client.models.GetRegisteredModel(model_pb2.GetRegisteredModelRequest(name="m"))
    assert found.name == "m"
    listed = await client.log.ListQuarantine(log_pb2.ListQuarantineRequest(service="registry"))
    assert [record.position for record in listed.records] == [at, behind]


async def test_a_position_past_the_logs_end_is_refused(registry: RegistryService) -> None:
    request = model_pb2.GetRegisteredModelRequest(name="m", as_of=AsOf(position=10**9))
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await registry.client.models.GetRegisteredModel(request)
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
