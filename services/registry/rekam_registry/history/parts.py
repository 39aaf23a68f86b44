"""What of its model an event concerns, as the history of one part is asked for."""

from __future__ import annotations

from collections.abc import Iterator

from rekam_proto.registry.v1 import alias_pb2, read_pb2, transition_pb2, version_pb2
from rekam_registry.events import ModelEvent

MODEL = ""


def version_part(number: int) -> str:
    return f"v{number}"


def stage_part(stage: int) -> str:
    return f"s{stage}"


def alias_part(alias: str) -> str:
    return f"@{alias}"


def parts_of(event: ModelEvent) -> set[str]:
    return {MODEL, *_parts(event)}


def _parts(event: ModelEvent) -> Iterator[str]:
    match event:
        case version_pb2.VersionTransitioned():
            yield version_part(event.version)
            yield stage_part(event.stage)
            yield stage_part(event.previous_stage)
            if event.archived:
                yield stage_part(read_pb2.STAGE_ARCHIVED)
            yield from map(version_part, event.archived)
        case version_pb2.VersionDeleted():
            yield version_part(event.version)
            yield stage_part(event.stage)
            yield from map(alias_part, event.aliases)
        case (
            version_pb2.VersionCreated()
            | version_pb2.VersionUpdated()
            | version_pb2.VersionTagsSet()
            | version_pb2.VersionTagsDeleted()
            | transition_pb2.TransitionRejected()
        ):
            yield version_part(event.version)
        case alias_pb2.AliasSet():
            yield alias_part(event.alias)
            yield version_part(event.version)
            if event.previous_version:
                yield version_part(event.previous_version)
        case alias_pb2.AliasDeleted():
            yield alias_part(event.alias)
            yield version_part(event.version)
        case transition_pb2.TransitionRequested():
            yield version_part(event.version)
            to = event.WhichOneof("to")
            yield stage_part(event.stage) if to == "stage" else alias_part(event.alias)
        case _:
            pass
