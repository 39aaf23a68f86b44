"""The SDK's view of the registry, which follows the real service: it has what the service would answer."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from rekam import Client, ModelVersion, RegisteredModel
from rekam.errors import NotFound
from rekam.registry import Changes, Registry
from rekam_registry.events import STREAM
from rekam_runtime.eventlog.jetstream import JetStreamLog
from tests.contracts.registry.test_histories import NAMES, SUFFIXES, History
from tests.contracts.test_projection import until
from tests.support.registry_service import RegistryService

View = tuple[list[RegisteredModel], dict[str, list[ModelVersion]], dict[str, int]]


def answered(client: Client, names: list[str]) -> View:
    """What the service has under these names; signatures are not watched."""
    models = [model for model in client.search_registered_models(max_results=1_000) if model.name in names]
    found = client.search_model_versions(max_results=10_000, order_by=["version_number ASC"])
    versions = {model.name: [each for each in found if each.name == model.name] for model in models}
    return models, versions, resolved(client.resolve_model, names)


def followed(registry: Registry, names: list[str]) -> View:
    models = registry.registered_models()
    versions = {model.name: registry.get_model_versions(model.name) for model in models}
    return models, versions, resolved(registry.resolve, names)


def resolved(resolve: Callable[[str], ModelVersion], names: list[str]) -> dict[str, int]:
    found = {}
    for uri in [f"models:/{name}{suffix}" for name in names for suffix in SUFFIXES]:
        try:
            found[uri] = resolve(uri).version
        except NotFound:
            continue
    return found


async def reach(registry: Registry, log: JetStreamLog) -> None:
    last = await log.last_position(STREAM)
    await until(lambda: registry.status.position >= last)


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_happens_the_view_has_what_the_service_answers(
    registry: RegistryService, log: JetStreamLog, seed: int
) -> None:
    uri = f"grpc://{registry.target}"
    client = Client(uri)
    history = History(random.Random(seed), registry.client, log)
    await history.go_on(20)
    some = NAMES[:2]
    async with (
        Registry(uri, heartbeat=0.1) as everything,
        Registry(uri, names=some, heartbeat=0.1) as named,
    ):
        changes = everything.changes()
        for _ in range(4):
            await history.go_on(25)
            await reach(everything, log)
            await reach(named, log)
            for view, names in ((everything, NAMES), (named, some)):
                assert followed(view, names) == await asyncio.to_thread(answered, client, names)
        await asyncio.to_thread(check_told, client, changes)


def check_told(client: Client, changes: Changes) -> None:
    """Of every model that is there: what its history says, once, in order."""
    changes.close()
    told = list(changes)
    for model in client.search_registered_models(max_results=1_000):
        happened = client.get_registered_model_history(model.name, max_results=1_000)[::-1]
        mine = [each for each in told if each.registered_model_id == model.registered_model_id]
        assert mine == happened[-len(mine) :]


async def test_an_emptied_log_begins_the_view_anew(registry: RegistryService, log: JetStreamLog) -> None:
    uri = f"grpc://{registry.target}"
    client = Client(uri)
    await asyncio.to_thread(client.create_registered_model, "Fraud")
    async with Registry(uri, heartbeat=0.1) as followed:
        assert [model.name for model in followed.registered_models()] == ["Fraud"]
        await log.purge(STREAM)
        await registry.reset()
        await asyncio.to_thread(client.create_registered_model, "Spam")
        await until(lambda: [model.name for model in followed.registered_models()] == ["Spam"])


async def test_a_signature_is_left_to_be_asked_for(registry: RegistryService) -> None:
    uri = f"grpc://{registry.target}"
    client = Client(uri)
    await asyncio.to_thread(client.create_registered_model, "Fraud")
    async with Registry(uri, heartbeat=0.1) as followed:
        version = await asyncio.to_thread(
            lambda: client.create_model_version("Fraud", "s3://b/m", digest="0" * 64, signature="{}")
        )
        await until(lambda: bool(followed.get_model_versions("Fraud")))
        assert followed.resolve("models:/Fraud/1") == replace(version, signature=None)
