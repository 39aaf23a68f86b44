"""Any history of commands: the registry's answers as of each moment are what was true then."""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Any

import grpc
import grpc.aio
import pytest

from rekam_proto.registry.v1 import (
    alias_pb2,
    history_pb2,
    model_pb2,
    read_pb2,
    resolve_pb2,
    transition_pb2,
    version_pb2,
)
from rekam_proto.registry.v1.read_pb2 import AsOf, By
from rekam_proto.tracking.v1.read_pb2 import Tag
from rekam_registry import events
from rekam_registry.events import STREAM
from rekam_runtime.eventlog.jetstream import JetStreamLog
from tests.support.registry_service import RegistryClient, RegistryService
from tests.support.registry_twin import (
    Twin,
    TwinModel,
    TwinVersion,
    model_said,
    twin_model_said,
    twin_version_said,
    version_said,
)

NAMES = ["Fraud", "été ☃", "x" * 256, "a.b c@d", "%_'\"\\"]
ALIASES = ["champion", "V-1", "ünïcode"]
STAGES = [read_pb2.STAGE_NONE, read_pb2.STAGE_STAGING, read_pb2.STAGE_PRODUCTION, read_pb2.STAGE_ARCHIVED]
SUFFIXES = ["/1", "/2", "/7", "/latest", "/Production", "/sTaGing", *(f"@{alias}" for alias in ALIASES)]
REFUSED = {
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.ALREADY_EXISTS,
    grpc.StatusCode.FAILED_PRECONDITION,
}


@dataclass
class History:
    """Random commands on the service and on its twin; most of them make sense."""

    random: random.Random
    client: RegistryClient
    log: JetStreamLog
    twin: Twin = field(default_factory=Twin)
    moments: list[tuple[AsOf, Twin]] = field(default_factory=list)
    requests: dict[str, list[tuple[int, int, int]]] = field(default_factory=dict)

    async def go_on(self, steps: int) -> None:
        commands = [
            *[self.create] * 2,
            self.rename,
            self.update,
            self.tag,
            self.delete,
            *[self.register] * 6,
            *[self.transition] * 6,
            *[self.point] * 4,
            self.unpoint,
            self.tag_version,
            self.update_version,
            self.delete_version,
            self.ask_and_decide,
        ]
        for _ in range(steps):
            await self.random.choice(commands)()
            position = await self.log.last_position(STREAM)
            if position:
                self.moments.append((AsOf(position=position), self.twin.frozen()))
                self.moments.append((AsOf(time_us=time.time_ns() // 1_000), self.twin.frozen()))

    @property
    def by(self) -> By:
        return By(actor=self.random.choice(["ada", "bob"]), reason=f"because {self.random.random()}")

    @property
    def name(self) -> str:
        return self.random.choice(NAMES)

    def known(self) -> tuple[str, TwinModel, int]:
        """A name, its model, and most often one of its versions; the model may not be there."""
        name = self.name
        model = self.twin.models.get(name, TwinModel())
        numbers = [*model.versions, self.random.randint(1, 9)]
        return name, model, self.random.choice(numbers)

    async def create(self) -> None:
        name = self.name
        created = await self._try(
            self.client.models.CreateRegisteredModel(
                model_pb2.CreateRegisteredModelRequest(
                    name=name, description="d", tags=[Tag(key="k", value="1")], by=self.by
                )
            )
        )
        assert (created is None) == (name in self.twin.models)
        if created is not None:
            self.twin.models[name] = TwinModel("d", {"k": "1"})
            self.requests.pop(name, None)
            assert model_said(created) == twin_model_said(self.twin.models[name])

    async def rename(self) -> None:
        name, other = self.name, self.name
        renamed = await self._try(
            self.client.models.RenameRegisteredModel(
                model_pb2.RenameRegisteredModelRequest(name=name, new_name=other, by=self.by)
            )
        )
        fits = name in self.twin.models and (other == name or other not in self.twin.models)
        assert (renamed is not None) == fits
        if fits:
            self.twin.models[other] = self.twin.models.pop(name)
            self.requests[other] = self.requests.pop(name, [])

    async def update(self) -> None:
        name, model, _ = self.known()
        text = self.random.choice(["", "ü", "text"])
        updated = await self._try(
            self.client.models.UpdateRegisteredModel(
                model_pb2.UpdateRegisteredModelRequest(name=name, description=text, by=self.by)
            )
        )
        if updated is not None:
            model.description = text

    async def tag(self) -> None:
        name, model, _ = self.known()
        key, value = self.random.choice(["k", "l"]), self.random.choice(["", "1", "2"])
        if self.random.random() < 0.3:
            removed = await self._try(
                self.client.models.DeleteRegisteredModelTags(
                    model_pb2.DeleteRegisteredModelTagsRequest(name=name, keys=[key], by=self.by)
                )
            )
            if removed is not None:
                model.tags.pop(key, None)
            return
        tagged = await self._try(
            self.client.models.SetRegisteredModelTags(
                model_pb2.SetRegisteredModelTagsRequest(
                    name=name, tags=[Tag(key=key, value=value)], by=self.by
                )
            )
        )
        if tagged is not None:
            model.tags[key] = value

    async def delete(self) -> None:
        name = self.name
        deleted = await self._try(
            self.client.models.DeleteRegisteredModel(
                model_pb2.DeleteRegisteredModelRequest(name=name, by=self.by)
            )
        )
        assert (deleted is not None) == (name in self.twin.models)
        self.twin.models.pop(name, None)

    async def register(self) -> None:
        name, model, _ = self.known()
        source = f"s3://bucket/{self.random.randint(1, 3)}"
        version = await self._try(
            self.client.versions.CreateModelVersion(
                version_pb2.CreateModelVersionRequest(
                    name=name, source=source, tags=[Tag(key="k", value="v")], by=self.by
                )
            )
        )
        assert (version is not None) == (name in self.twin.models)
        if version is not None:
            model.count += 1
            assert version.version == model.count
            model.versions[model.count] = TwinVersion(source, tags={"k": "v"})

    async def transition(self) -> None:
        name, model, number = self.known()
        stage = self.random.choice(STAGES)
        archive = stage in (read_pb2.STAGE_STAGING, read_pb2.STAGE_PRODUCTION) and self.random.random() < 0.5
        moved = await self._try(
            self.client.versions.TransitionModelVersion(
                version_pb2.TransitionModelVersionRequest(
                    name=name, version=number, stage=stage, archive_existing=archive, by=self.by
                )
            )
        )
        assert (moved is not None) == (number in model.versions)
        if moved is not None:
            self.twin.transition(name, number, stage, archive)
            assert version_said(moved) == twin_version_said(model, number)

    async def point(self) -> None:
        name, model, number = self.known()
        alias = self.random.choice(ALIASES)
        pointed = await self._try(
            self.client.aliases.SetAlias(
                alias_pb2.SetAliasRequest(name=name, alias=alias, version=number, by=self.by)
            )
        )
        assert (pointed is not None) == (number in model.versions)
        if pointed is not None:
            assert pointed.previous_version == model.aliases.get(alias, 0)
            model.aliases[alias] = number

    async def unpoint(self) -> None:
        name, model, _ = self.known()
        alias = self.random.choice(ALIASES)
        removed = await self._try(
            self.client.aliases.DeleteAlias(alias_pb2.DeleteAliasRequest(name=name, alias=alias, by=self.by))
        )
        if removed is not None:
            model.aliases.pop(alias, None)

    async def tag_version(self) -> None:
        name, model, number = self.known()
        value = self.random.choice(["1", "2"])
        tagged = await self._try(
            self.client.versions.SetModelVersionTags(
                version_pb2.SetModelVersionTagsRequest(
                    name=name, version=number, tags=[Tag(key="t", value=value)], by=self.by
                )
            )
        )
        if tagged is not None:
            model.versions[number].tags["t"] = value

    async def update_version(self) -> None:
        name, model, number = self.known()
        text = self.random.choice(["", "ü", "text"])
        updated = await self._try(
            self.client.versions.UpdateModelVersion(
                version_pb2.UpdateModelVersionRequest(name=name, version=number, description=text, by=self.by)
            )
        )
        if updated is not None:
            model.versions[number].description = text

    async def delete_version(self) -> None:
        name, _, number = self.known()
        deleted = await self._try(
            self.client.versions.DeleteModelVersion(
                version_pb2.DeleteModelVersionRequest(name=name, version=number, by=self.by)
            )
        )
        if deleted is not None:
            self.twin.delete_version(name, number)

    async def ask_and_decide(self) -> None:
        name, model, number = self.known()
        asked = await self._try(
            self.client.transitions.RequestTransition(
                transition_pb2.RequestTransitionRequest(
                    name=name, version=number, alias="champion", by=By(actor="ada")
                )
            )
        )
        if asked is None:
            return
        if self.random.random() < 0.3:
            await self.client.transitions.RejectTransition(
                transition_pb2.RejectTransitionRequest(name=name, request_id=asked.request_id, by=self.by)
            )
            return
        await self.client.transitions.ApproveTransition(
            transition_pb2.ApproveTransitionRequest(name=name, request_id=asked.request_id, by=self.by)
        )
        model.aliases["champion"] = number

    async def _try(self, call: Awaitable[Any]) -> Any:
        """The answer, or None when it is refused."""
        try:
            return await call
        except grpc.aio.AioRpcError as error:
            if error.code() not in REFUSED:
                raise
            return None


async def check(client: RegistryClient, as_of: AsOf, twin: Twin, choose: random.Random) -> None:
    """All models and versions, and some uris, as of a moment."""
    found = await client.models.SearchRegisteredModels(
        model_pb2.SearchRegisteredModelsRequest(as_of=as_of, page_size=1_000)
    )
    said = {model.name: model_said(model) for model in found.models}
    assert said == {name: twin_model_said(model) for name, model in twin.models.items()}
    versions = await client.versions.SearchModelVersions(
        version_pb2.SearchModelVersionsRequest(as_of=as_of, page_size=10_000)
    )
    assert {(one.name, one.version): version_said(one) for one in versions.versions} == {
        (name, number): twin_version_said(model, number)
        for name, model in twin.models.items()
        for number in model.versions
    }
    for _ in range(4):
        name, suffix = choose.choice(NAMES), choose.choice(SUFFIXES)
        request = resolve_pb2.ResolveRequest(uri=f"models:/{name}{suffix}", as_of=as_of)
        try:
            resolved = (await client.resolve.Resolve(request)).version.version
        except grpc.aio.AioRpcError as error:
            if error.code() != grpc.StatusCode.NOT_FOUND:
                raise
            resolved = None
        assert resolved == twin.resolve(name, suffix)


@pytest.mark.parametrize("seed", range(4))
async def test_as_of_each_moment_is_what_was_true_then(
    registry: RegistryService, log: JetStreamLog, seed: int
) -> None:
    choose = random.Random(seed)
    history = History(choose, registry.client, log)
    await history.go_on(120)
    await check(registry.client, AsOf(), history.twin, choose)
    for as_of, twin in choose.sample(history.moments, 40):
        await check(registry.client, as_of, twin, choose)
    for name in history.twin.models:
        await check_history(registry.client, name)
    logged = await logged_changes(log)
    for as_of, _ in choose.sample(history.moments, 20):
        await check_history_as_of(registry.client, as_of, choose.choice(NAMES), logged)


async def logged_changes(log: JetStreamLog) -> list[history_pb2.Change]:
    """As the log has them."""
    decoded = [(record.position, *events.decode(record)) async for record in log.scan(STREAM)]
    return [
        events.change_of(position, envelope, event)
        for position, envelope, event in decoded
        if isinstance(event, events.ModelEvent)
    ]


async def check_history_as_of(
    client: RegistryClient, as_of: AsOf, name: str, logged: list[history_pb2.Change]
) -> None:
    """What had happened to the model that had the name, or had it last before."""
    by_time = as_of.WhichOneof("moment") == "time_us"
    before = [
        change
        for change in logged
        if (change.time_us <= as_of.time_us if by_time else change.position <= as_of.position)
    ]
    owner = next((change.model_id for change in reversed(before) if change.name == name), None)
    request = history_pb2.GetHistoryRequest(name=name, as_of=as_of, page_size=1_000)
    if owner is None:
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await client.history.GetHistory(request)
        assert error.value.code() == grpc.StatusCode.NOT_FOUND
    else:
        wanted = [change for change in reversed(before) if change.model_id == owner]
        assert list((await client.history.GetHistory(request)).changes) == wanted


async def check_history(client: RegistryClient, name: str) -> None:
    """Pages put together are the whole, newest first, each with its author and reason."""
    changes: list[history_pb2.Change] = []
    token = ""
    while True:
        page = await client.history.GetHistory(
            history_pb2.GetHistoryRequest(name=name, page_size=7, page_token=token)
        )
        changes += page.changes
        token = page.next_page_token
        if not token:
            break
    positions = [change.position for change in changes]
    times = [change.time_us for change in changes]
    assert positions == sorted(set(positions), reverse=True)
    assert times == sorted(set(times), reverse=True)
    assert all(change.actor in ("ada", "bob") for change in changes)
    assert changes[-1].WhichOneof("event") == "model_created"
