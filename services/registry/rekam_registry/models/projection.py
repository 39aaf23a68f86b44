"""Registered models and their tags: events to rows, many at a time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple
from uuid import UUID

from rekam_proto.registry.v1 import model_pb2, version_pb2
from rekam_proto.tracking.v1.read_pb2 import Tag
from rekam_registry.timelines import Entry, Timeline
from rekam_runtime.errors import Quarantine
from rekam_runtime.postgres import Connection, Statements

_statements = Statements.load("rekam_registry.models", "projection.sql")
# Events that move the model's last update, and nothing else of it.
_TOUCHING = version_pb2.VersionCreated | version_pb2.VersionDeleted | version_pb2.VersionTransitioned


class ModelRow(NamedTuple):
    name: str
    description: str
    created_us: int
    updated_us: int
    protection: bytes


async def apply(connection: Connection, entries: Sequence[Entry]) -> None:
    """Write events in their order; those of other nouns are passed over."""
    states: Timeline[ModelRow] = Timeline(_statements.close, _statements.insert)
    tags: Timeline[tuple[str]] = Timeline(_statements.close_tags, _statements.insert_tags)
    known = await _load(connection, {UUID(entry.event.model_id) for entry in entries})
    for entry in entries:
        event, model_id = entry.event, UUID(entry.event.model_id)
        match event:
            case model_pb2.ModelTagsSet():
                _set_tags(tags, model_id, event.tags, entry)
                continue
            case model_pb2.ModelTagsDeleted():
                for key in event.keys:
                    tags.set((model_id, key), None, entry)
                continue
            case model_pb2.ModelCreated():
                _set_tags(tags, model_id, event.tags, entry)
            case model_pb2.ModelDeleted():
                await tags.write(connection)
                await connection.execute(_statements.close_all_tags, model_id, entry.position, entry.time_us)
            case _:
                pass
        before = known.get(model_id)
        after = _after(before, entry)
        if after != before:
            states.set((model_id,), after, entry)
            known[model_id] = after
    await states.write(connection)
    await tags.write(connection)


def _after(row: ModelRow | None, entry: Entry) -> ModelRow | None:
    event = entry.event
    if isinstance(event, model_pb2.ModelCreated):
        protection = event.protection.SerializeToString()
        return ModelRow(event.name, event.description, entry.time_us, entry.time_us, protection)
    if row is None:
        raise Quarantine(f"record {entry.position} is of model {event.model_id}, which is not there")
    match event:
        case model_pb2.ModelRenamed():
            return row._replace(name=event.name, updated_us=entry.time_us)
        case model_pb2.ModelUpdated():
            return row._replace(description=event.description, updated_us=entry.time_us)
        case model_pb2.ModelProtected():
            return row._replace(protection=event.protection.SerializeToString())
        case model_pb2.ModelDeleted():
            return None
        case _ if isinstance(event, _TOUCHING):
            return row._replace(updated_us=entry.time_us)
        case _:
            return row


def _set_tags(tags: Timeline[tuple[str]], model_id: UUID, values: Iterable[Tag], entry: Entry) -> None:
    for tag in values:
        tags.set((model_id, tag.key), (tag.value,), entry)


async def _load(connection: Connection, model_ids: set[UUID]) -> dict[UUID, ModelRow | None]:
    rows = await connection.fetch(_statements.current, list(model_ids))
    return {row["model_id"]: ModelRow(*list(row)[1:]) for row in rows}
