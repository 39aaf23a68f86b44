"""registered-models/*: names, under which versions are numbered, and aliases that point to versions."""

from __future__ import annotations

import grpc.aio
from msgspec import Struct

from rekam_gateway.http.backend import Backend
from rekam_gateway.http.endpoints import Endpoints
from rekam_gateway.http.errors import check_max_results
from rekam_gateway.http.objects import KeyValue, tags_of
from rekam_gateway.http.registry_objects import (
    RegisteredModel,
    VersionAnswer,
    VersionsAnswer,
    described_model,
    described_version,
    number_of,
    once,
    stage_of,
    version_answer,
)
from rekam_gateway.http.wire import Int64, Text
from rekam_proto.registry.v1 import alias_pb2, model_pb2, version_pb2
from rekam_proto.tracking.v1.read_pb2 import Tag
from rekam_runtime.errors import Invalid, NotFound
from rekam_runtime.rpc.status import error_from_rpc

MOST_RESULTS = 1_000

endpoints = Endpoints()


class RegisteredModelAnswer(Struct):
    registered_model: RegisteredModel


class CreateRegisteredModel(Struct):
    name: Text
    tags: list[KeyValue] = []
    description: str = ""


class ModelName(Struct):
    name: Text


class RenameRegisteredModel(Struct):
    name: Text
    new_name: Text


class UpdateRegisteredModel(Struct):
    name: Text
    description: str = ""


class SearchRegisteredModels(Struct):
    filter: str = ""
    max_results: Int64 = 100
    order_by: list[str] = []
    page_token: str = ""


class FoundRegisteredModels(Struct, omit_defaults=True):
    registered_models: list[RegisteredModel] = []
    next_page_token: str = ""


class LatestVersions(Struct):
    name: Text
    stages: list[str] = []


class RegisteredModelTag(Struct):
    name: Text
    key: Text
    value: str = ""


class RegisteredModelTagKey(Struct):
    name: Text
    key: Text


class AliasedVersion(Struct):
    name: Text
    alias: Text
    version: Text


class AliasOfModel(Struct):
    name: Text
    alias: Text


@endpoints.post("mlflow/registered-models/create")
async def create(backend: Backend, asked: CreateRegisteredModel) -> RegisteredModelAnswer:
    created = await backend.registry.models.CreateRegisteredModel(
        model_pb2.CreateRegisteredModelRequest(
            name=asked.name, description=asked.description, tags=tags_of(asked.tags), by=once()
        )
    )
    return _answer(created)


@endpoints.get("mlflow/registered-models/get")
async def get(backend: Backend, asked: ModelName) -> RegisteredModelAnswer:
    request = model_pb2.GetRegisteredModelRequest(name=asked.name)
    return _answer(await backend.registry.models.GetRegisteredModel(request))


@endpoints.post("mlflow/registered-models/rename")
async def rename(backend: Backend, asked: RenameRegisteredModel) -> RegisteredModelAnswer:
    request = model_pb2.RenameRegisteredModelRequest(name=asked.name, new_name=asked.new_name, by=once())
    return _answer(await backend.registry.models.RenameRegisteredModel(request))


@endpoints.patch("mlflow/registered-models/update")
async def update(backend: Backend, asked: UpdateRegisteredModel) -> RegisteredModelAnswer:
    """Without a description it has none afterwards."""
    request = model_pb2.UpdateRegisteredModelRequest(name=asked.name, description=asked.description)
    return _answer(await backend.registry.models.UpdateRegisteredModel(request))


@endpoints.delete("mlflow/registered-models/delete")
async def delete(backend: Backend, asked: ModelName) -> None:
    request = model_pb2.DeleteRegisteredModelRequest(name=asked.name, by=once())
    await backend.registry.models.DeleteRegisteredModel(request)


@endpoints.get("mlflow/registered-models/search")
async def search(backend: Backend, asked: SearchRegisteredModels) -> FoundRegisteredModels:
    check_max_results(asked.max_results, MOST_RESULTS)
    found = await backend.registry.models.SearchRegisteredModels(
        model_pb2.SearchRegisteredModelsRequest(
            filter=asked.filter,
            order_by=asked.order_by,
            page_size=asked.max_results,
            page_token=asked.page_token,
        )
    )
    return FoundRegisteredModels([described_model(each) for each in found.models], found.next_page_token)


@endpoints.serve("mlflow/registered-models/get-latest-versions", ["GET", "POST"])
async def get_latest_versions(backend: Backend, asked: LatestVersions) -> VersionsAnswer:
    stages = [stage_of(each) for each in asked.stages]
    request = version_pb2.GetLatestVersionsRequest(name=asked.name, stages=stages)
    found = await backend.registry.versions.GetLatestVersions(request)
    return VersionsAnswer([described_version(each) for each in found.versions])


@endpoints.post("mlflow/registered-models/set-tag", renamed={"tags[0].": ""})
async def set_tag(backend: Backend, asked: RegisteredModelTag) -> None:
    tag = Tag(key=asked.key, value=asked.value)
    request = model_pb2.SetRegisteredModelTagsRequest(name=asked.name, tags=[tag])
    await backend.registry.models.SetRegisteredModelTags(request)


@endpoints.delete("mlflow/registered-models/delete-tag", renamed={"keys[0]": "key"})
async def delete_tag(backend: Backend, asked: RegisteredModelTagKey) -> None:
    request = model_pb2.DeleteRegisteredModelTagsRequest(name=asked.name, keys=[asked.key])
    await backend.registry.models.DeleteRegisteredModelTags(request)


@endpoints.post("mlflow/registered-models/alias")
async def set_alias(backend: Backend, asked: AliasedVersion) -> None:
    number = number_of(asked.name, asked.version)
    request = alias_pb2.SetAliasRequest(name=asked.name, alias=asked.alias, version=number)
    await backend.registry.aliases.SetAlias(request)


@endpoints.delete("mlflow/registered-models/alias")
async def delete_alias(backend: Backend, asked: AliasOfModel) -> None:
    request = alias_pb2.DeleteAliasRequest(name=asked.name, alias=asked.alias)
    await backend.registry.aliases.DeleteAlias(request)


@endpoints.get("mlflow/registered-models/alias")
async def get_version_by_alias(backend: Backend, asked: AliasOfModel) -> VersionAnswer:
    request = alias_pb2.GetVersionByAliasRequest(name=asked.name, alias=asked.alias)
    try:
        return version_answer(await backend.registry.aliases.GetVersionByAlias(request))
    except grpc.aio.AioRpcError as error:
        refused = error_from_rpc(error)
        if isinstance(refused, NotFound) and refused.field == "alias":
            # Not a 404 in MLflow.
            raise Invalid(refused.message) from None
        raise


def _answer(found: model_pb2.RegisteredModel) -> RegisteredModelAnswer:
    return RegisteredModelAnswer(described_model(found))
