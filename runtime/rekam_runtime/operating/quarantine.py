"""Records that were set aside: listed, shown, applied after all, or dropped for good."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from google.protobuf import json_format, symbol_database
from google.protobuf.message import DecodeError

from rekam_proto.event.v1.envelope_pb2 import Envelope
from rekam_runtime.errors import FailedPrecondition, NotFound, Quarantine
from rekam_runtime.eventlog.envelope import payload_of
from rekam_runtime.eventlog.port import Record
from rekam_runtime.postgres import Connection, Pool, Row, Statements, acquire, generations, pinned
from rekam_runtime.postgres.blame import blames_data
from rekam_runtime.projection.part import Part
from rekam_runtime.projection.quarantine import copy_decisions, poison_of

# An event of more bytes is not shown as JSON, which would be several times as large.
_SHOWN_BYTES = 256 * 1024
_statements = Statements.load("rekam_runtime.operating", "quarantine.sql")

Place = tuple[str, int]


class Quarantined:
    """The quarantine of a service's active generation.

    parts: new parts of the projection, by stream; a retry applies records by them.
    """

    def __init__(self, pool: Pool, parts: Callable[[], Mapping[str, Part]]) -> None:
        self._pool = pool
        self._parts = parts

    async def list(self, stream: str, after: Place, limit: int, *, dropped: bool) -> list[Row]:
        async with pinned(self._pool) as connection:
            return await connection.fetch(_statements.list, stream, *after, dropped, limit)

    async def show(self, place: Place) -> Row:
        async with pinned(self._pool) as connection:
            row = await connection.fetchrow(_statements.show, *place)
        if row is None:
            raise NotFound(f"{place[0]} has nothing in quarantine at {place[1]}", field="place")
        return row

    async def retry(self, place: Place) -> None:
        """Apply a record and take it out, in one transaction; raises what speaks against it."""
        async with acquire(self._pool) as connection:
            try:
                async with connection.transaction():
                    await self._begin(connection, place)
                    row = await connection.fetchrow(_statements.take, *place)
                    if row is None:
                        raise NotFound("it is not in quarantine, or was dropped")
                    await self._apply(connection, Record(place[1], row["subject"], row["data"]), place[0])
            except Exception as error:
                if isinstance(error, (NotFound, FailedPrecondition)) or not blames_data(error):
                    raise
                poison = poison_of(Record(place[1], "", b""), error)
                async with connection.transaction():
                    await generations.pin(connection)
                    await connection.execute(_statements.still_wrong, *place, poison.reason)
                raise FailedPrecondition(poison.reason) from error

    async def drop(self, place: Place, actor: str, reason: str) -> None:
        """Decide that a record is never applied; a rebuild keeps to that."""
        async with acquire(self._pool) as connection, connection.transaction():
            building = await self._begin(connection, place)
            if await connection.fetchval(_statements.drop, *place, actor, reason) is None:
                raise NotFound("it is not in quarantine, or was dropped before")
            if building is not None:
                await copy_decisions(connection, building)

    async def _apply(self, connection: Connection, record: Record, stream: str) -> None:
        part = self._parts().get(stream)
        if part is None:
            raise FailedPrecondition(f"this version does not project {stream}")
        await part.apply(connection, [record])

    async def _begin(self, connection: Connection, place: Place) -> int | None:
        """The generation stays the active one; answers the number of one that is being built."""
        await connection.execute(_statements.begin)
        await generations.pin(connection)
        building: int | None = await connection.fetchval(_statements.building)
        if building is not None:
            stream, position = place
            statement = _statements.lock_position.format(generations.schema_of(building))
            if (await connection.fetchval(statement, stream) or 0) >= position:
                raise FailedPrecondition("a rebuild has passed it: try again when that has ended")
        return building


def as_json(data: bytes) -> str:
    """An envelope and its event as JSON, as far as they are known; empty when it is no envelope."""
    try:
        envelope = Envelope.FromString(data)
    except DecodeError:
        return ""
    shown: dict[str, Any] = json_format.MessageToDict(envelope, preserving_proto_field_name=True)
    shown["event_id"] = envelope.event_id.hex()
    shown.pop("payload", None)
    shown["event"] = _event(envelope)
    return json.dumps(shown, ensure_ascii=False, indent=2)


def _event(envelope: Envelope) -> Any:
    try:
        payload = payload_of(envelope)
        if len(payload) > _SHOWN_BYTES:
            return f"{len(payload)} bytes"
        kind: Any = symbol_database.Default().GetSymbol(envelope.type)
        event = kind.FromString(payload)
    except (KeyError, DecodeError, Quarantine) as error:
        return f"cannot be read: {error}"
    return json_format.MessageToDict(event, preserving_proto_field_name=True)
