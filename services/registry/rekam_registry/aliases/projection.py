"""Aliases: events to rows, many at a time."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from rekam_proto.registry.v1 import alias_pb2, model_pb2, version_pb2
from rekam_registry.timelines import Entry, Timeline
from rekam_runtime.postgres import Connection, Statements

_statements = Statements.load("rekam_registry.aliases", "projection.sql")


async def apply(connection: Connection, entries: Sequence[Entry]) -> None:
    """Write events in their order; those of other nouns are passed over."""
    pointing: Timeline[tuple[int]] = Timeline(_statements.close, _statements.insert)
    for entry in entries:
        event, model_id = entry.event, UUID(entry.event.model_id)
        match event:
            case alias_pb2.AliasSet():
                pointing.set((model_id, event.alias), (event.version,), entry)
            case alias_pb2.AliasDeleted():
                pointing.set((model_id, event.alias), None, entry)
            case version_pb2.VersionDeleted():
                for alias in event.aliases:
                    pointing.set((model_id, alias), None, entry)
            case model_pb2.ModelDeleted():
                await pointing.write(connection)
                await connection.execute(_statements.close_all, model_id, entry.position, entry.time_us)
            case _:
                pass
    await pointing.write(connection)
