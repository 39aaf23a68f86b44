"""Searches: filter, order and pages over models and versions, and the special place of prompts."""

from __future__ import annotations

import asyncio

import grpc
import grpc.aio
import pytest

from rekam_proto.registry.v1 import model_pb2, read_pb2, version_pb2
from rekam_proto.registry.v1.read_pb2 import By
from rekam_proto.tracking.v1.read_pb2 import CONSISTENCY_EVENTUAL, Tag
from tests.contracts.test_projection import until
from tests.support.registry_service import RegistryClient, RegistryService

BY = By(actor="ada")


async def fill(client: RegistryClient) -> None:
    for name, tags in (
        ("alpha", {"team": "risk"}),
        ("beta", {"team": "ads", "tier": "1"}),
        ("gamma", {}),
        ("greeting", {"mlflow.prompt.is_prompt": "true"}),
    ):
        await client.models.CreateRegisteredModel(
            model_pb2.CreateRegisteredModelRequest(
                name=name, tags=[Tag(key=key, value=value) for key, value in tags.items()], by=BY
            )
        )
    for number in range(1, 7):
        name = ("alpha", "beta")[number % 2]
        await client.versions.CreateModelVersion(
            version_pb2.CreateModelVersionRequest(
                name=name,
                source=f"s3://bucket/{name}/{number}",
                run_id=f"run{number}",
                tags=[Tag(key="even", value=str(number % 2 == 0))],
                by=BY,
            )
        )
    await client.versions.TransitionModelVersion(
        version_pb2.TransitionModelVersionRequest(
            name="alpha", version=2, stage=read_pb2.STAGE_PRODUCTION, by=BY
        )
    )


async def models(client: RegistryClient, filter: str, *order: str, size: int = 2) -> list[str]:
    """Names, over as many pages as it takes."""
    found: list[str] = []
    token = ""
    while True:
        page = await client.models.SearchRegisteredModels(
            model_pb2.SearchRegisteredModelsRequest(
                filter=filter, order_by=order, page_size=size, page_token=token
            )
        )
        found += [model.name for model in page.models]
        token = page.next_page_token
        if not token:
            return found


async def versions(client: RegistryClient, filter: str, *order: str, size: int = 2) -> list[str]:
    found: list[str] = []
    token = ""
    while True:
        page = await client.versions.SearchModelVersions(
            version_pb2.SearchModelVersionsRequest(
                filter=filter, order_by=order, page_size=size, page_token=token
            )
        )
        found += [f"{version.name}/{version.version}" for version in page.versions]
        token = page.next_page_token
        if not token:
            return found


async def test_models(registry: RegistryService) -> None:
    client = registry.client
    await fill(client)
    prompts = "tag.`mlflow.prompt.is_prompt`"
    for filter, names in {
        "": ["alpha", "beta", "gamma"],
        "name = 'beta'": ["beta"],
        "name IN ('beta', 'gamma', 'none')": ["beta", "gamma"],
        "name LIKE '%a%' AND name != 'alpha'": ["beta", "gamma"],
        "name ILIKE 'A%'": ["alpha"],
        "tags.team = 'risk'": ["alpha"],
        "tags.team != 'risk'": ["beta"],
        "tag.team = 'ads' AND tag.tier = '1'": ["beta"],
        "tag.team = 'risk' OR tag.tier = '1'": ["alpha", "beta"],
        "NOT tag.team = 'risk'": ["beta"],
        "tag.team IS NULL": ["gamma"],
        f"{prompts} = 'true'": ["greeting"],
        f"{prompts} != 'false'": ["greeting"],
        f"{prompts} != 'true'": ["alpha", "beta", "gamma"],
        f"{prompts} != 'true' AND name LIKE 'g%'": ["gamma"],
    }.items():
        assert await models(client, filter) == names, filter
    assert await models(client, "", "name DESC") == ["gamma", "beta", "alpha"]
    # alpha was changed last.
    assert (await models(client, "", "last_updated_timestamp DESC"))[0] == "alpha"
    assert (await models(client, "", "timestamp DESC", "name ASC"))[0] == "alpha"


async def test_versions(registry: RegistryService) -> None:
    client = registry.client
    await fill(client)
    # alpha has the runs 2, 4, 6, beta 1, 3, 5; alpha/2 was moved last.
    for filter, found in {
        "": ["alpha/2", "alpha/3", "beta/3", "beta/2", "alpha/1", "beta/1"],
        "name = 'beta'": ["beta/3", "beta/2", "beta/1"],
        "run_id = 'run4'": ["alpha/2"],
        "run_id IN ('run1', 'run6')": ["alpha/3", "beta/1"],
        "source_path LIKE 's3://bucket/beta/%' AND version_number > 1": ["beta/3", "beta/2"],
        "version_number <= 1": ["alpha/1", "beta/1"],
        "version_number = '3'": ["alpha/3", "beta/3"],
        "current_stage = 'Production'": ["alpha/2"],
        "tag.even = 'True'": ["alpha/2", "alpha/3", "alpha/1"],
        "tag.even != 'True' AND version_number = 2": ["beta/2"],
        "run_id = 'run1' OR current_stage = 'Production'": ["alpha/2", "beta/1"],
    }.items():
        assert await versions(client, filter) == found, filter
    assert await versions(client, "", "version_number DESC", "name DESC", size=4) == [
        "beta/3",
        "alpha/3",
        "beta/2",
        "alpha/2",
        "beta/1",
        "alpha/1",
    ]


async def test_what_is_wrong_is_refused_by_field(registry: RegistryService) -> None:
    client = registry.client
    await fill(client)
    for request in (
        model_pb2.SearchRegisteredModelsRequest(filter="nome = 'a'"),
        model_pb2.SearchRegisteredModelsRequest(filter="name = "),
        model_pb2.SearchRegisteredModelsRequest(order_by=["tags.team"]),
        model_pb2.SearchRegisteredModelsRequest(page_size=1_001),
        model_pb2.SearchRegisteredModelsRequest(page_token="made up"),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await client.models.SearchRegisteredModels(request)
        assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT


async def test_a_page_ends_where_it_would_not_fit_into_a_message(registry: RegistryService) -> None:
    client = registry.client
    heavy = [Tag(key=key, value="x" * 90_000) for key in "ab"]
    names = [f"m{number}" for number in range(11)]

    async def fill_one(name: str) -> None:
        await client.models.CreateRegisteredModel(model_pb2.CreateRegisteredModelRequest(name=name, by=BY))
        for _ in range(10):
            await client.versions.CreateModelVersion(
                version_pb2.CreateModelVersionRequest(name=name, source="s3://b/m", tags=heavy, by=BY)
            )

    async def all_are_there() -> bool:
        last = version_pb2.SearchModelVersionsRequest(
            filter="version_number = 10", consistency=CONSISTENCY_EVENTUAL
        )
        return len((await client.versions.SearchModelVersions(last)).versions) == len(names)

    await asyncio.gather(*map(fill_one, names))
    await until(all_are_there, 90)
    pages: list[list[tuple[str, int]]] = []
    token = ""
    while token or not pages:
        page = await client.versions.SearchModelVersions(
            version_pb2.SearchModelVersionsRequest(order_by=["name", "version_number"], page_token=token)
        )
        pages.append([(version.name, version.version) for version in page.versions])
        token = page.next_page_token
    assert [len(page) for page in pages] == [100, 10]
    assert [each for page in pages for each in page] == [
        (name, number) for name in sorted(names) for number in range(1, 11)
    ]
