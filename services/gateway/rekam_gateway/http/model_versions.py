"""model-versions/*: what is registered under a name, number by number."""

from __future__ import annotations

import grpc.aio
import structlog
from msgspec import Struct

from rekam_gateway.http.backend import Backend
from rekam_gateway.http.endpoints import Endpoints
from rekam_gateway.http.errors import check_max_results
from rekam_gateway.http.model_sources import Provenance, provenance_of
from rekam_gateway.http.objects import KeyValue, tags_of
from rekam_gateway.http.registry_objects import (
    ModelVersion,
    VersionAnswer,
    described_version,
    number_of,
    once,
    stage_of,
    version_answer,
)
from rekam_gateway.http.wire import Int64, Text
from rekam_proto.registry.v1 import version_pb2
from rekam_proto.tracking.v1 import logged_model_pb2
from rekam_proto.tracking.v1.read_pb2 import Tag

MOST_RESULTS = 200_000
PROMPT_TAG = "mlflow.prompt.is_prompt"
# Larger answers are gathered from pages of the registry, up to so many bytes of them.
_PAGE = 1_000
_MOST_BYTES = 64 * 1024 * 1024

endpoints = Endpoints()
log = structlog.get_logger(__name__)


class CreateVersion(Struct):
    """model_id: of the logged model that it is made from."""

    name: Text
    source: Text
    run_id: str = ""
    tags: list[KeyValue] = []
    run_link: str = ""
    description: str = ""
    model_id: str = ""


class VersionPlace(Struct):
    name: Text
    version: Text


class UpdateVersion(Struct):
    name: Text
    version: Text
    description: str = ""


class SearchVersions(Struct):
    filter: str = ""
    max_results: Int64 = MOST_RESULTS
    order_by: list[str] = []
    page_token: str = ""


class FoundVersions(Struct, omit_defaults=True):
    model_versions: list[ModelVersion] = []
    next_page_token: str = ""


class DownloadUri(Struct):
    artifact_uri: str


class TransitionVersion(Struct):
    name: Text
    version: Text
    stage: Text
    archive_existing_versions: bool = False


class VersionTag(Struct):
    name: Text
    version: Text
    key: Text
    value: str = ""


class VersionTagKey(Struct):
    name: Text
    version: Text
    key: Text


@endpoints.post("mlflow/model-versions/create", renamed={"logged_model_id": "model_id"})
async def create(backend: Backend, asked: CreateVersion) -> VersionAnswer:
    made_from = Provenance(asked.run_id)
    if not _is_prompt(asked.tags):
        made_from = await provenance_of(backend, asked.source, asked.run_id, asked.model_id)
    created = await backend.registry.versions.CreateModelVersion(
        version_pb2.CreateModelVersionRequest(
            name=asked.name,
            source=asked.source,
            location=made_from.location,
            run_id=made_from.run_id,
            run_link=asked.run_link,
            logged_model_id=made_from.logged_model_id,
            description=asked.description,
            tags=tags_of(asked.tags),
            by=once(),
        )
    )
    if created.logged_model_id:
        await _record(backend, created)
    return version_answer(created)


@endpoints.get("mlflow/model-versions/get")
async def get(backend: Backend, asked: VersionPlace) -> VersionAnswer:
    return version_answer(await find_version(backend, asked.name, asked.version))


@endpoints.patch("mlflow/model-versions/update")
async def update(backend: Backend, asked: UpdateVersion) -> VersionAnswer:
    """Without a description it has none afterwards."""
    number = number_of(asked.name, asked.version)
    request = version_pb2.UpdateModelVersionRequest(
        name=asked.name, version=number, description=asked.description
    )
    return version_answer(await backend.registry.versions.UpdateModelVersion(request))


@endpoints.delete("mlflow/model-versions/delete")
async def delete(backend: Backend, asked: VersionPlace) -> None:
    number = number_of(asked.name, asked.version)
    request = version_pb2.DeleteModelVersionRequest(name=asked.name, version=number)
    await backend.registry.versions.DeleteModelVersion(request)


@endpoints.get("mlflow/model-versions/search")
async def search(backend: Backend, asked: SearchVersions) -> FoundVersions:
    check_max_results(asked.max_results, MOST_RESULTS)
    found: list[ModelVersion] = []
    token, gathered_bytes = asked.page_token, 0
    while True:
        page = await backend.registry.versions.SearchModelVersions(
            version_pb2.SearchModelVersionsRequest(
                filter=asked.filter,
                order_by=asked.order_by,
                page_size=min(_PAGE, asked.max_results - len(found)),
                page_token=token,
            )
        )
        found += [described_version(each) for each in page.versions]
        token, gathered_bytes = page.next_page_token, gathered_bytes + page.ByteSize()
        if not token or len(found) == asked.max_results or gathered_bytes >= _MOST_BYTES:
            return FoundVersions(found, token)


@endpoints.get("mlflow/model-versions/get-download-uri")
async def get_download_uri(backend: Backend, asked: VersionPlace) -> DownloadUri:
    return DownloadUri((await find_version(backend, asked.name, asked.version)).location)


@endpoints.post("mlflow/model-versions/transition-stage")
async def transition(backend: Backend, asked: TransitionVersion) -> VersionAnswer:
    request = version_pb2.TransitionModelVersionRequest(
        name=asked.name,
        version=number_of(asked.name, asked.version),
        stage=stage_of(asked.stage),
        archive_existing=asked.archive_existing_versions,
    )
    return version_answer(await backend.registry.versions.TransitionModelVersion(request))


@endpoints.post("mlflow/model-versions/set-tag", renamed={"tags[0].": ""})
async def set_tag(backend: Backend, asked: VersionTag) -> None:
    number = number_of(asked.name, asked.version)
    tag = Tag(key=asked.key, value=asked.value)
    request = version_pb2.SetModelVersionTagsRequest(name=asked.name, version=number, tags=[tag])
    await backend.registry.versions.SetModelVersionTags(request)


@endpoints.delete("mlflow/model-versions/delete-tag", renamed={"keys[0]": "key"})
async def delete_tag(backend: Backend, asked: VersionTagKey) -> None:
    number = number_of(asked.name, asked.version)
    request = version_pb2.DeleteModelVersionTagsRequest(name=asked.name, version=number, keys=[asked.key])
    await backend.registry.versions.DeleteModelVersionTags(request)


async def find_version(backend: Backend, name: str, version: str) -> version_pb2.ModelVersion:
    request = version_pb2.GetModelVersionRequest(name=name, version=number_of(name, version))
    return await backend.registry.versions.GetModelVersion(request)


def _is_prompt(tags: list[KeyValue]) -> bool:
    return {tag.key: tag.value for tag in tags}.get(PROMPT_TAG, "").lower() == "true"


async def _record(backend: Backend, version: version_pb2.ModelVersion) -> None:
    """Say it of the logged model, too.

    The version is there, whatever becomes of this: a request that failed now would be sent again, and
    make another one.
    """
    try:
        await backend.logged_models.RecordModelVersion(
            logged_model_pb2.RecordModelVersionRequest(
                model_id=version.logged_model_id, name=version.name, version=version.version
            )
        )
    except grpc.aio.AioRpcError as error:
        log.warning(
            "a logged model does not say that it is registered",
            model_id=version.logged_model_id,
            name=version.name,
            version=version.version,
            error=error.details(),
        )
