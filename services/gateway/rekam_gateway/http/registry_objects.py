"""Registered models and their versions, as the endpoints of both answer with them."""

from __future__ import annotations

import uuid
from typing import Literal

from msgspec import Struct

from rekam_gateway.http.objects import KeyValue, pairs
from rekam_gateway.http.wire import Int64
from rekam_proto.event.v1.envelope_pb2 import Origin
from rekam_proto.registry.v1 import model_pb2, read_pb2, version_pb2
from rekam_runtime.errors import Invalid, NotFound

_MAX_VERSION = 2**63 - 1
_STAGE_NAMES = {
    read_pb2.STAGE_NONE: "None",
    read_pb2.STAGE_STAGING: "Staging",
    read_pb2.STAGE_PRODUCTION: "Production",
    read_pb2.STAGE_ARCHIVED: "Archived",
}
# Requests write them in any case.
_STAGES = {name.lower(): stage for stage, name in _STAGE_NAMES.items()}


class ModelAlias(Struct):
    alias: str
    version: str


class ModelVersion(Struct, omit_defaults=True):
    name: str
    version: str
    creation_timestamp: Int64
    last_updated_timestamp: Int64
    current_stage: str
    description: str
    source: str
    run_id: str
    run_link: str
    status: Literal["READY"]
    user_id: str = ""
    tags: list[KeyValue] = []
    aliases: list[str] = []


class RegisteredModel(Struct, omit_defaults=True):
    """latest_versions: the highest of each stage."""

    name: str
    creation_timestamp: Int64
    last_updated_timestamp: Int64
    description: str = ""
    latest_versions: list[ModelVersion] = []
    tags: list[KeyValue] = []
    aliases: list[ModelAlias] = []


class VersionAnswer(Struct):
    model_version: ModelVersion


class VersionsAnswer(Struct, omit_defaults=True):
    model_versions: list[ModelVersion] = []


def described_model(found: model_pb2.RegisteredModel) -> RegisteredModel:
    return RegisteredModel(
        name=found.name,
        creation_timestamp=found.created_us // 1_000,
        last_updated_timestamp=found.updated_us // 1_000,
        description=found.description,
        latest_versions=[described_version(each) for each in found.latest_versions],
        tags=pairs(found.tags),
        aliases=[ModelAlias(each.alias, str(each.version)) for each in found.aliases],
    )


def described_version(found: version_pb2.ModelVersion) -> ModelVersion:
    return ModelVersion(
        name=found.name,
        version=str(found.version),
        creation_timestamp=found.created_us // 1_000,
        last_updated_timestamp=found.updated_us // 1_000,
        current_stage=_STAGE_NAMES[found.stage],
        description=found.description,
        source=found.source,
        run_id=found.run_id,
        run_link=found.run_link,
        status="READY",
        user_id=found.user,
        tags=pairs(found.tags),
        aliases=list(found.aliases),
    )


def version_answer(found: version_pb2.ModelVersion) -> VersionAnswer:
    return VersionAnswer(described_version(found))


def once() -> read_pb2.By:
    """Of a request that is carried out once, also when it arrives twice."""
    return read_pb2.By(origin=Origin(writer=uuid.uuid4().hex, sequence=1))


def number_of(name: str, version: str) -> int:
    """A version's number, which requests write as a text; NotFound for one that no version can have."""
    try:
        number = int(version)
    except ValueError:
        raise Invalid(
            f"Parameter 'version' must be an integer, got '{version[:300]}'.", field="version"
        ) from None
    if not 0 < number <= _MAX_VERSION:
        raise NotFound(f"Model Version (name={name}, version={number}) not found", field="version")
    return number


def stage_of(written: str) -> read_pb2.Stage:
    stage = _STAGES.get(written.lower())
    if stage is None:
        raise Invalid(
            f"Invalid Model Version stage: {written[:300]}. "
            f"Value must be one of {', '.join(_STAGE_NAMES.values())}.",
            field="stage",
        )
    return stage
