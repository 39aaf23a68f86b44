"""Versions and their tags: events to rows, many at a time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from rekam_proto.registry.v1 import model_pb2, read_pb2, version_pb2
from rekam_proto.tracking.v1.read_pb2 import Tag
from rekam_registry.timelines import Entry, Timeline, columns
from rekam_runtime.errors import Quarantine
from rekam_runtime.postgres import Connection, Statements

_statements = Statements.load("rekam_registry.versions", "projection.sql")
# They concern all versions of a model, or all tags of a version.
_WIDE = model_pb2.ModelRenamed | model_pb2.ModelDeleted | version_pb2.VersionDeleted


class VersionRow(NamedTuple):
    name: str
    stage: int
    description: str
    created_us: int
    updated_us: int


class _Writing:
    """What events between two that concern all of a model or a version add up to."""

    def __init__(self) -> None:
        self.added: list[tuple[Any, ...]] = []
        self.states: Timeline[VersionRow] = Timeline(_statements.close, _statements.insert)
        self.tags: Timeline[tuple[str]] = Timeline(_statements.close_tags, _statements.insert_tags)

    async def write(self, connection: Connection) -> None:
        if self.added:
            await connection.execute(_statements.add, *columns(self.added))
            self.added.clear()
        await self.states.write(connection)
        await self.tags.write(connection)


async def apply(connection: Connection, entries: Sequence[Entry]) -> None:
    """Write events in their order; those of other nouns are passed over."""
    writing = _Writing()
    start = 0
    for index, entry in enumerate(entries):
        if isinstance(entry.event, _WIDE):
            await _apply_narrow(connection, writing, entries[start:index])
            await writing.write(connection)
            await _apply_wide(connection, entry)
            start = index + 1
    await _apply_narrow(connection, writing, entries[start:])
    await writing.write(connection)


async def _apply_wide(connection: Connection, entry: Entry) -> None:
    event, model_id = entry.event, UUID(entry.event.model_id)
    at = (entry.position, entry.time_us)
    match event:
        case model_pb2.ModelRenamed():
            await connection.execute(_statements.rename_all, model_id, event.name, *at)
        case model_pb2.ModelDeleted():
            await connection.execute(_statements.close_all, model_id, *at)
            await connection.execute(_statements.close_tags_of_model, model_id, *at)
        case version_pb2.VersionDeleted():
            keys = ([model_id], [event.version])
            await connection.execute(_statements.close, *keys, [entry.position], [entry.time_us])
            await connection.execute(_statements.close_tags_of_version, model_id, event.version, *at)


async def _apply_narrow(connection: Connection, writing: _Writing, entries: Sequence[Entry]) -> None:
    known = await _load(connection, entries)
    for entry in entries:
        event, model_id = entry.event, UUID(entry.event.model_id)
        match event:
            case version_pb2.VersionCreated():
                writing.added.append(_added(model_id, entry, event))
                row = VersionRow(
                    event.name, read_pb2.STAGE_NONE, event.description, entry.time_us, entry.time_us
                )
                _set(writing, known, (model_id, event.version), row, entry)
                _set_tags(writing, (model_id, event.version), event.tags, entry)
            case version_pb2.VersionUpdated():
                key = (model_id, event.version)
                row = _row(known, key, entry)._replace(
                    description=event.description, updated_us=entry.time_us
                )
                _set(writing, known, key, row, entry)
            case version_pb2.VersionTransitioned():
                _move(writing, known, (model_id, event.version), event.stage, entry)
                for archived in event.archived:
                    _move(writing, known, (model_id, archived), read_pb2.STAGE_ARCHIVED, entry)
            case version_pb2.VersionTagsSet():
                _set_tags(writing, (model_id, event.version), event.tags, entry)
            case version_pb2.VersionTagsDeleted():
                for tag in event.keys:
                    writing.tags.set((model_id, event.version, tag), None, entry)
            case _:
                pass


_Known = dict[tuple[UUID, int], VersionRow]


def _row(known: _Known, key: tuple[UUID, int], entry: Entry) -> VersionRow:
    row = known.get(key)
    if row is None:
        raise Quarantine(
            f"record {entry.position} is of version {key[1]} of model {key[0].hex}, which is not there"
        )
    return row


def _set(writing: _Writing, known: _Known, key: tuple[UUID, int], row: VersionRow, entry: Entry) -> None:
    known[key] = row
    writing.states.set(key, row, entry)


def _move(writing: _Writing, known: _Known, key: tuple[UUID, int], stage: int, entry: Entry) -> None:
    row = _row(known, key, entry)._replace(stage=stage, updated_us=entry.time_us)
    _set(writing, known, key, row, entry)


def _set_tags(writing: _Writing, key: tuple[UUID, int], values: Iterable[Tag], entry: Entry) -> None:
    for tag in values:
        writing.tags.set((*key, tag.key), (tag.value,), entry)


def _added(model_id: UUID, entry: Entry, event: version_pb2.VersionCreated) -> tuple[Any, ...]:
    return (
        model_id,
        event.version,
        event.source,
        event.location,
        event.run_id,
        event.run_link,
        event.logged_model_id,
        event.digest,
        event.signature,
        entry.envelope.actor,
        entry.time_us,
        event.copied_from.SerializeToString(),
    )


async def _load(connection: Connection, entries: Iterable[Entry]) -> _Known:
    """The rows of versions that these events change."""
    wanted: set[tuple[UUID, int]] = set()
    for entry in entries:
        event, model_id = entry.event, UUID(entry.event.model_id)
        match event:
            case version_pb2.VersionUpdated():
                wanted.add((model_id, event.version))
            case version_pb2.VersionTransitioned():
                wanted.update((model_id, number) for number in (event.version, *event.archived))
            case _:
                pass
    if not wanted:
        return {}
    rows = await connection.fetch(_statements.current, *columns(wanted))
    return {(row["model_id"], row["version"]): VersionRow(*list(row)[2:]) for row in rows}
