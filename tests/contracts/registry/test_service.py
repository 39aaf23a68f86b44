"""The services over gRPC: answers, and refusals by code."""

from __future__ import annotations

from collections.abc import Awaitable
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
from rekam_proto.registry.v1.read_pb2 import By
from rekam_proto.tracking.v1.read_pb2 import CONSISTENCY_EVENTUAL, Tag
from tests.contracts.test_projection import until
from tests.support.registry_service import RegistryClient, RegistryService

ADA = By(actor="ada", reason="a test")
BOSS = By(actor="boss", roles=["release"])
PRODUCTION = read_pb2.STAGE_PRODUCTION
Code = grpc.StatusCode


async def create(client: RegistryClient, name: str, **more: Any) -> model_pb2.RegisteredModel:
    return await client.models.CreateRegisteredModel(
        model_pb2.CreateRegisteredModelRequest(name=name, by=ADA, **more)
    )


async def register(client: RegistryClient, name: str, **more: Any) -> version_pb2.ModelVersion:
    asked: dict[str, Any] = {"source": "s3://b/m", **more}
    return await client.versions.CreateModelVersion(
        version_pb2.CreateModelVersionRequest(name=name, by=ADA, **asked)
    )


async def move(
    client: RegistryClient, version: int, stage: read_pb2.Stage, by: By = ADA, **more: Any
) -> version_pb2.ModelVersion:
    return await client.versions.TransitionModelVersion(
        version_pb2.TransitionModelVersionRequest(name="m", version=version, stage=stage, by=by, **more)
    )


async def refused(call: Awaitable[object]) -> grpc.StatusCode:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await call
    return error.value.code()


async def test_what_is_created_is_what_is_read(registry: RegistryService) -> None:
    client = registry.client
    await create(client, "m", description="text")
    made = await register(client, "m", run_id="r", digest="ab" * 32, signature='{"inputs": null}')
    assert (made.version, made.stage, made.user) == (1, read_pb2.STAGE_NONE, "ada")
    found = await client.versions.GetModelVersion(version_pb2.GetModelVersionRequest(name="m", version=1))
    assert found == made
    model = await client.models.GetRegisteredModel(model_pb2.GetRegisteredModelRequest(name="m"))
    updated = await client.models.UpdateRegisteredModel(
        model_pb2.UpdateRegisteredModelRequest(name="m", description="text", by=ADA)
    )
    assert updated == model


async def test_a_copy_and_a_source_in_the_registry_are_where_the_original_is(
    registry: RegistryService,
) -> None:
    client = registry.client
    for name in ("m", "n"):
        await create(client, name)
    await register(client, "m", source="runs:/0af1/model", location="s3://b/model", signature="s")
    copied = await client.versions.CopyModelVersion(
        version_pb2.CopyModelVersionRequest(name="m", version=1, to_name="n", by=ADA)
    )
    assert (copied.name, copied.version, copied.source) == ("n", 1, "models:/m/1")
    assert (copied.location, copied.signature) == ("s3://b/model", "s")
    assert (copied.copied_from.name, copied.copied_from.version) == ("m", 1)
    linked = await register(client, "n", source="models:/m/latest")
    assert linked.location == "s3://b/model"
    code = await refused(register(client, "n", source="models:/m/7"))
    assert code == Code.NOT_FOUND


async def test_prompts_and_models_share_their_names(registry: RegistryService) -> None:
    client = registry.client
    prompt = {"tags": [Tag(key="mlflow.prompt.is_prompt", value="true")]}
    await create(client, "m")
    await create(client, "p", **prompt)
    for name, more, text in (
        ("m", {}, "Registered Model (name=m) already exists."),
        ("p", prompt, "Prompt (name=p) already exists."),
        (
            "m",
            prompt,
            "Tried to create a prompt with name 'm', but the name is already taken by a registered",
        ),
        (
            "p",
            {},
            "Tried to create a registered model with name 'p', but the name is already taken by a prompt",
        ),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as taken:
            await create(client, name, **more)
        assert taken.value.code() == Code.ALREADY_EXISTS
        assert text in (taken.value.details() or "")
    # A prompt's text is in its tags: its source says nothing.
    made = await register(client, "p", source="dummy-source", **prompt)
    assert (made.source, made.location) == ("dummy-source", "dummy-source")
    assert await refused(register(client, "m", source="dummy-source")) == Code.INVALID_ARGUMENT


async def test_a_model_tells_its_latest_versions_with_their_tags(registry: RegistryService) -> None:
    client = registry.client
    await create(client, "m")
    await register(client, "m", tags=[Tag(key="a", value="b")], signature="{}")
    await client.aliases.SetAlias(alias_pb2.SetAliasRequest(name="m", alias="a", version=1, by=ADA))
    found = await client.models.GetRegisteredModel(model_pb2.GetRegisteredModelRequest(name="m"))
    (latest,) = found.latest_versions
    assert [(tag.key, tag.value) for tag in latest.tags] == [("a", "b")]
    assert (list(latest.aliases), latest.signature) == ([], "")
    # As a command answers it, from the log.
    told = await client.models.UpdateRegisteredModel(model_pb2.UpdateRegisteredModelRequest(name="m", by=ADA))
    assert told == found


async def test_latest_versions_of_stages_and_aliases(registry: RegistryService) -> None:
    client = registry.client
    await create(client, "m")
    for _ in range(4):
        await register(client, "m")
    for version in (1, 2):
        await move(client, version, PRODUCTION)
    await client.aliases.SetAlias(alias_pb2.SetAliasRequest(name="m", alias="a", version=3, by=ADA))
    latest = await client.versions.GetLatestVersions(version_pb2.GetLatestVersionsRequest(name="m"))
    assert [(one.stage, one.version) for one in latest.versions] == [
        (read_pb2.STAGE_NONE, 4),
        (PRODUCTION, 2),
    ]
    for alias, version in (("a", 3), ("LATEST", 4)):
        by_alias = alias_pb2.GetVersionByAliasRequest(name="m", alias=alias)
        assert (await client.aliases.GetVersionByAlias(by_alias)).version == version
    missing = client.aliases.GetVersionByAlias(alias_pb2.GetVersionByAliasRequest(name="m", alias="b"))
    assert await refused(missing) == Code.NOT_FOUND


async def test_answers_to_resolve_follow_every_change(registry: RegistryService) -> None:
    client = registry.client
    await create(client, "m")
    for version in range(1, 12):
        await register(client, "m")
        await client.aliases.SetAlias(
            alias_pb2.SetAliasRequest(name="m", alias="champion", version=version, by=ADA)
        )
        for uri in ("models:/m@champion", "models:/m/latest", "models:/m/None"):
            for _ in range(2):
                found = await client.resolve.Resolve(resolve_pb2.ResolveRequest(uri=uri))
                assert found.version.version == version
                assert found.version.aliases == ["champion"]

    async def seen() -> bool:
        request = resolve_pb2.ResolveRequest(uri="models:/m@champion", consistency=CONSISTENCY_EVENTUAL)
        return (await client.resolve.Resolve(request)).version.version == 11

    await until(seen)
    await client.models.DeleteRegisteredModel(model_pb2.DeleteRegisteredModelRequest(name="m", by=ADA))
    gone = client.resolve.Resolve(resolve_pb2.ResolveRequest(uri="models:/m@champion"))
    assert await refused(gone) == Code.NOT_FOUND


async def test_refusals_have_codes_of_their_own(registry: RegistryService) -> None:
    client = registry.client
    protection = model_pb2.Protection(stages=[PRODUCTION], roles=["release"])
    await create(client, "m", protection=protection)
    await register(client, "m")
    assert await refused(create(client, "m")) == Code.ALREADY_EXISTS
    assert await refused(create(client, "a/b")) == Code.INVALID_ARGUMENT
    assert await refused(register(client, "n")) == Code.NOT_FOUND
    assert await refused(move(client, 1, PRODUCTION)) == Code.PERMISSION_DENIED
    staged = move(client, 1, read_pb2.STAGE_STAGING, expected_stage=PRODUCTION)
    assert await refused(staged) == Code.ABORTED
    assert (await move(client, 1, PRODUCTION, BOSS)).stage == PRODUCTION


async def test_a_request_for_a_transition_from_asking_to_history(registry: RegistryService) -> None:
    client = registry.client
    protection = model_pb2.Protection(stages=[PRODUCTION], roles=["release"])
    await create(client, "m", protection=protection)
    await register(client, "m")
    asked = await client.transitions.RequestTransition(
        transition_pb2.RequestTransitionRequest(name="m", version=1, stage=PRODUCTION, by=ADA)
    )
    approval = transition_pb2.ApproveTransitionRequest(name="m", request_id=asked.request_id, by=BOSS)
    approved = await client.transitions.ApproveTransition(approval)
    listed = await client.transitions.ListTransitions(transition_pb2.ListTransitionsRequest(name="m"))
    assert list(listed.requests) == [approved]
    assert (approved.requester, approved.decider) == ("ada", "boss")
    assert await refused(client.transitions.ApproveTransition(approval)) == Code.FAILED_PRECONDITION
    told = await client.history.GetHistory(history_pb2.GetHistoryRequest(name="m", stage=PRODUCTION))
    assert [change.WhichOneof("event") for change in told.changes] == [
        "version_transitioned",
        "transition_requested",
    ]
    assert told.changes[0].version_transitioned.request_id == asked.request_id
