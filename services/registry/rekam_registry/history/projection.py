"""History: every event as a row, and what it concerns."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from rekam_proto.registry.v1 import model_pb2
from rekam_registry.events import change_of
from rekam_registry.history.parts import parts_of
from rekam_registry.timelines import Entry, columns
from rekam_runtime.errors import Quarantine
from rekam_runtime.postgres import Connection, Statements

_statements = Statements.load("rekam_registry.history", "projection.sql")


async def check_order(connection: Connection, entries: Sequence[Entry]) -> None:
    """Refuse an event that comes after later ones of its model, as a retry of one set aside may.

    Rows of what was true in between could not be right any more.
    """
    firsts: dict[UUID, int] = {}
    for entry in entries:
        firsts.setdefault(UUID(entry.event.model_id), entry.position)
    late = await connection.fetchval(_statements.later, *columns(firsts.items()))
    if late is not None:
        raise Quarantine(f"later events of model {late.hex} are projected already: rebuild the projection")


async def apply(connection: Connection, entries: Sequence[Entry]) -> None:
    rows = [
        (
            entry.position,
            UUID(entry.event.model_id),
            entry.event.name,
            entry.event.old_name if isinstance(entry.event, model_pb2.ModelRenamed) else None,
            entry.time_us,
            change_of(entry.position, entry.envelope, entry.event).SerializeToString(),
        )
        for entry in entries
    ]
    await connection.execute(_statements.add, *columns(rows))
    parts = [
        (UUID(entry.event.model_id), part, entry.position)
        for entry in entries
        for part in sorted(parts_of(entry.event))
    ]
    await connection.execute(_statements.add_parts, *columns(parts))
