"""Watching: what is there, then every change, once and in order, also after everything that may happen."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import grpc
import grpc.aio
import pytest

from rekam_proto.registry.v1 import history_pb2, model_pb2, version_pb2, watch_pb2
from rekam_proto.registry.v1.read_pb2 import By
from rekam_proto.tracking.v1.read_pb2 import Tag
from rekam_registry.events import STREAM
from rekam_registry.watching.hub import MOST_WAITING
from rekam_runtime.eventlog.jetstream import JetStreamLog
from tests.support.nats import NatsServer
from tests.support.registry_service import RegistryClient, RegistryService, running_registry

BY = By(actor="ada", reason="a test")


async def create(client: RegistryClient, name: str) -> None:
    await client.models.CreateRegisteredModel(model_pb2.CreateRegisteredModelRequest(name=name, by=BY))


async def register(client: RegistryClient, name: str) -> None:
    await client.versions.CreateModelVersion(
        version_pb2.CreateModelVersionRequest(name=name, source="s3://b/m", by=BY)
    )


async def describe(client: RegistryClient, name: str, text: str) -> None:
    await client.models.UpdateRegisteredModel(
        model_pb2.UpdateRegisteredModelRequest(name=name, description=text, by=BY)
    )


async def rename(client: RegistryClient, name: str, new_name: str) -> None:
    await client.models.RenameRegisteredModel(
        model_pb2.RenameRegisteredModelRequest(name=name, new_name=new_name, by=BY)
    )


class Watching:
    """One call, read response by response."""

    def __init__(self, client: RegistryClient, request: watch_pb2.WatchRequest) -> None:
        self._call = client.watch.Watch(request)
        self.position = request.resume_after

    async def next(self) -> watch_pb2.WatchResponse:
        async with asyncio.timeout(20):
            response = await self._call.read()
        assert isinstance(response, watch_pb2.WatchResponse), "the call has ended"
        if response.position:
            assert response.position >= self.position
            self.position = response.position
        return response

    async def snapshot(self) -> list[str]:
        """Names of models, and names and numbers of versions, up to its end."""
        found: list[str] = []
        while (response := await self.next()).WhichOneof("kind") != "snapshot_end":
            one = response.version if response.HasField("version") else response.model
            found.append(
                f"{one.name}/{one.version}" if isinstance(one, version_pb2.ModelVersion) else one.name
            )
        return found

    async def changes(self, count: int) -> list[history_pb2.Change]:
        found: list[history_pb2.Change] = []
        while len(found) < count:
            response = await self.next()
            if response.HasField("change"):
                found.append(response.change)
        return found

    async def beat(self) -> int:
        """Position of the next heartbeat; nothing else may come before it."""
        response = await self.next()
        assert response.HasField("heartbeat"), response
        return response.position

    def end(self) -> None:
        self._call.cancel()


@asynccontextmanager
async def watching(
    client: RegistryClient,
    *,
    names: Sequence[str] = (),
    prefix: str = "",
    resume_after: int = 0,
    heartbeat_ms: int = 200,
) -> AsyncIterator[Watching]:
    request = watch_pb2.WatchRequest(
        names=names, name_prefix=prefix, resume_after=resume_after, heartbeat_ms=heartbeat_ms
    )
    opened = Watching(client, request)
    try:
        yield opened
    finally:
        opened.end()


def told(changes: Sequence[history_pb2.Change]) -> list[tuple[str, str]]:
    return [(change.WhichOneof("event") or "", change.name) for change in changes]


async def test_first_what_is_there_then_every_change_in_order(registry: RegistryService) -> None:
    client = registry.client
    for name in ("b", "a"):
        await create(client, name)
        await register(client, name)
    async with watching(client) as watcher:
        assert await watcher.snapshot() == ["a", "a/1", "b", "b/1"]
        await register(client, "a")
        await rename(client, "b", "c")
        await describe(client, "c", "text")
        changes = await watcher.changes(3)
        assert told(changes) == [("version_created", "a"), ("model_renamed", "c"), ("model_updated", "c")]
        assert all((change.actor, change.reason) == ("ada", "a test") for change in changes)
        assert [change.position for change in changes] == sorted(change.position for change in changes)


async def test_a_watcher_of_names_is_told_of_them_alone(registry: RegistryService) -> None:
    client = registry.client
    for name in ("prod-a", "prod-b", "test"):
        await create(client, name)
    async with (
        watching(client, names=["test", "gone"]) as one,
        watching(client, prefix="prod-") as other,
    ):
        assert await one.snapshot() == ["test"]
        assert await other.snapshot() == ["prod-a", "prod-b"]
        await register(client, "prod-a")
        await rename(client, "prod-b", "gone")
        await describe(client, "gone", "text")
        await rename(client, "test", "prod-c")
        assert told(await one.changes(3)) == [
            ("model_renamed", "gone"),
            ("model_updated", "gone"),
            ("model_renamed", "prod-c"),
        ]
        assert told(await other.changes(3)) == [
            ("version_created", "prod-a"),
            ("model_renamed", "gone"),
            ("model_renamed", "prod-c"),
        ]


async def test_heartbeats_carry_the_position_on(registry: RegistryService, log: JetStreamLog) -> None:
    await create(registry.client, "a")
    async with watching(registry.client, names=["other"]) as watcher:
        assert await watcher.snapshot() == []
        first = await watcher.beat()
        await register(registry.client, "a")
        last = await log.last_position(STREAM)
        while await watcher.beat() < last:
            pass
        assert first < last


async def test_who_resumes_is_told_what_was_missed_and_nothing_twice(registry: RegistryService) -> None:
    client = registry.client
    await create(client, "a")
    async with watching(client) as watcher:
        await watcher.snapshot()
        await register(client, "a")
        await watcher.changes(1)
        left_at = watcher.position
    for number in range(450):
        await describe(client, "a", str(number))
    async with watching(client, resume_after=left_at) as again:
        missed = await again.changes(450)
        assert [change.model_updated.description for change in missed] == [str(n) for n in range(450)]
        await describe(client, "a", "live")
        assert [change.model_updated.description for change in await again.changes(1)] == ["live"]


async def test_who_resumes_after_another_process_serves_misses_nothing(
    nats: NatsServer, log: JetStreamLog, database_url: str
) -> None:
    async with running_registry(nats.url, database_url) as service:
        await create(service.client, "a")
        async with watching(service.client) as watcher:
            await watcher.snapshot()
            left_at = watcher.position
        await register(service.client, "a")
    async with (
        running_registry(nats.url, database_url) as service,
        watching(service.client, resume_after=left_at) as again,
    ):
        assert told(await again.changes(1)) == [("version_created", "a")]
        await register(service.client, "a")
        assert [change.version_created.version for change in await again.changes(1)] == [2]


async def test_a_slow_watcher_is_told_that_it_is_behind_and_misses_nothing(
    registry: RegistryService,
) -> None:
    client = registry.client
    await create(client, "a")
    async with watching(client) as watcher:
        await watcher.snapshot()
        # More than is on the way between two processes, so that the rest waits.
        for number in range(24):
            tags = [Tag(key=f"k{n}", value=f"{number} {'x' * 90_000}") for n in range(8)]
            await client.models.SetRegisteredModelTags(
                model_pb2.SetRegisteredModelTagsRequest(name="a", tags=tags, by=BY)
            )
        count = MOST_WAITING + 100
        for number in range(count):
            await describe(client, "a", str(number))
        behind = False
        texts: list[str] = []
        while len(texts) < count:
            response = await watcher.next()
            behind = behind or response.HasField("behind")
            if response.change.HasField("model_updated"):
                texts.append(response.change.model_updated.description)
        assert behind
        assert texts == [str(number) for number in range(count)]


async def test_a_position_of_another_log_is_refused(registry: RegistryService) -> None:
    async with watching(registry.client, resume_after=10**9) as watcher:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await watcher.next()
    assert refused.value.code() == grpc.StatusCode.FAILED_PRECONDITION


async def test_an_emptied_log_ends_the_watchers(registry: RegistryService, log: JetStreamLog) -> None:
    await create(registry.client, "a")
    async with watching(registry.client) as watcher:
        await watcher.snapshot()
        await log.purge(STREAM)
        await registry.reset()
        with pytest.raises(grpc.aio.AioRpcError) as ended:
            while True:
                await watcher.next()
    assert ended.value.code() == grpc.StatusCode.FAILED_PRECONDITION
    async with watching(registry.client) as again:
        assert await again.snapshot() == []
        await create(registry.client, "b")
        assert told(await again.changes(1)) == [("model_created", "b")]
    # Who was away meanwhile knows models that nobody has any more.
    async with watching(registry.client, resume_after=watcher.position) as away:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await away.next()
    assert refused.value.code() == grpc.StatusCode.FAILED_PRECONDITION


async def test_requests_that_are_wrong_are_refused(registry: RegistryService) -> None:
    for request in (
        watch_pb2.WatchRequest(names=["a/b"]),
        watch_pb2.WatchRequest(names=["a"] * 1_001),
        watch_pb2.WatchRequest(resume_after=-1),
        watch_pb2.WatchRequest(heartbeat_ms=1),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await Watching(registry.client, request).next()
        assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
