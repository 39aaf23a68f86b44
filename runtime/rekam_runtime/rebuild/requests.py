"""Rebuilds as they were asked for, and how they stand; any process may ask."""

from __future__ import annotations

import json
from dataclasses import dataclass

from rekam_runtime.errors import AlreadyExists, FailedPrecondition, NotFound
from rekam_runtime.postgres import Connection, Row, Statements

statements = Statements.load("rekam_runtime.rebuild", "requests.sql")
GOING_ON = ("requested", "projecting", "comparing", "switching")


@dataclass(frozen=True, slots=True)
class Standing:
    """A rebuild and its streams, as rows."""

    row: Row
    streams: list[Row]

    @property
    def ended(self) -> bool:
        return self.row["ended_at"] is not None

    @property
    def differences(self) -> list[tuple[str, str, int, int]]:
        return [(table, owner, now, new) for table, owner, now, new in json.loads(self.row["differences"])]


async def start(connection: Connection, actor: str, *, accept_differences: bool) -> int:
    """Ask for a rebuild; raises AlreadyExists while one is going on."""
    id: int | None = await connection.fetchval(statements.start, actor, accept_differences)
    if id is None:
        going_on = await connection.fetchval(statements.going_on)
        raise AlreadyExists(f"rebuild {going_on} has not ended: wait for it, or cancel it")
    return id


async def find(connection: Connection, id: int = 0) -> Standing:
    """A rebuild, the last one by default; raises NotFound."""
    row = await connection.fetchrow(statements.find, id)
    if row is None:
        raise NotFound(f"there is no rebuild {id}" if id else "there was no rebuild", field="id")
    return Standing(row, await connection.fetch(statements.streams, row["rebuild_id"]))


async def pause(connection: Connection, paused: bool) -> int:
    return _found(await connection.fetchval(statements.pause, paused))


async def cancel(connection: Connection) -> int:
    return _found(await connection.fetchval(statements.cancel))


def _found(id: int | None) -> int:
    if id is None:
        raise FailedPrecondition("no rebuild is going on")
    return id
