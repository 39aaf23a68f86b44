"""What waits to be delivered: from the registry's history to rows, and what becomes of each.

History is what is projected, so a receiver that asks for what it was told finds it. How far each webhook
was told is stored with what waits for it, in one transaction; whatever is done twice changes nothing.
A webhook that lets too much wait is told no further until there is room: the log is its queue.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple
from uuid import UUID

from rekam_proto.registry.v1 import history_pb2, webhook_pb2
from rekam_registry.events import STREAM
from rekam_registry.timelines import columns
from rekam_registry.webhooks.occurrences import Occurrence, occurrences_of
from rekam_registry.webhooks.pairs import Pair, pair_of
from rekam_runtime.errors import Retry
from rekam_runtime.postgres import Connection, Pool, Row, Statements, generations, pinned

# Of one webhook; of its dead the newest stay.
MOST_WAITING = 1_000
MOST_DEAD = 10_000
# Changes that are read at one time.
_BATCH = 200
_MAX_ERROR = 500
# Names deliveries: one that is made again has the same id.
_NAMESPACE = UUID("6f0c2f6e-6f3b-5d0e-9d5b-6b1f1d3f2a51")
_statements = Statements.load("rekam_registry.webhooks", "queue.sql")
_CHANGES = _statements.changes.format(is_prompt=_statements.is_prompt)
_LATE = _statements.late.format(is_prompt=_statements.is_prompt)
_HEADS = _statements.heads.format(is_prompt=_statements.is_prompt)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A delivery that is the first of its model, with all that it takes to send it.

    due_in_s: not before; negative when it could have been sent already.
    occurrence: None when this version of the registry reads its event otherwise.
    """

    number: int
    delivery_id: UUID
    model_id: UUID
    attempts: int
    due_in_s: float
    url: str
    sealed_secret: bytes
    time_us: int
    occurrence: Occurrence | None


class _Change(NamedTuple):
    position: int
    model_id: UUID
    occurrences: list[Occurrence]


class _State(NamedTuple):
    from_position: int
    until_position: int
    pairs: set[Pair]


class Queue:
    """Of one database; safe in several processes, of which one should do the work."""

    def __init__(self, pool: Pool, *, most_waiting: int = MOST_WAITING, most_dead: int = MOST_DEAD) -> None:
        self._pool = pool
        self._most_waiting = most_waiting
        self._most_dead = most_dead

    async def begin(self, log_end: int) -> None:
        """log_end: what lies before it was told by another database, if by any."""
        async with pinned(self._pool) as connection:
            await connection.execute(_statements.begin, log_end)

    async def fill(self) -> None:
        """Add what happened since; everything that is projected, unless too much waits already."""
        async with pinned(self._pool) as connection:
            await connection.execute(_statements.adopt)
            await connection.execute(_statements.forget)
            await self._tell_late(connection)
            while await self._fill_some(connection):
                pass

    async def to_tell(self) -> set[UUID]:
        """Webhooks for which something waits."""
        async with pinned(self._pool) as connection:
            return {row["webhook_id"] for row in await connection.fetch(_statements.to_tell)}

    async def heads(self, webhook_id: UUID, busy: Iterable[UUID], limit: int) -> list[Waiting]:
        """The first of each model that is not busy; those that are due first. None of a webhook that is
        disabled."""
        async with pinned(self._pool) as connection:
            rows = await connection.fetch(_HEADS, webhook_id, list(busy), limit)
        return [found for row in rows if (found := _waiting(row)) is not None]

    async def delivered(self, number: int) -> None:
        async with pinned(self._pool) as connection:
            await connection.execute(_statements.delivered, number)

    async def failed(
        self, webhook_id: UUID, number: int, *, again_in_s: float | None, status: int, error: str
    ) -> None:
        """again_in_s: None: it is given up."""
        dead = again_in_s is None
        pause = timedelta(seconds=again_in_s or 0)
        async with pinned(self._pool) as connection, connection.transaction():
            await connection.execute(_statements.failed, number, pause, dead, status, error[:_MAX_ERROR])
            if dead:
                await connection.execute(_statements.bury, webhook_id, self._most_dead)

    async def counts(self) -> tuple[int, int]:
        """How many wait, and how many are dead."""
        async with pinned(self._pool) as connection:
            row = await connection.fetchrow(_statements.counts)
        assert row is not None
        return row["waiting"], row["dead"]

    async def empty(self) -> None:
        """After the log was emptied."""
        async with pinned(self._pool) as connection:
            # Whoever adds deliveries moves a cursor: after this nobody does.
            await connection.execute(_statements.empty_cursors)
            await connection.execute(_statements.empty_deliveries)

    async def page(
        self, webhook_id: UUID | None, dead: bool | None, before: int, limit: int
    ) -> list[tuple[int, webhook_pb2.Delivery]]:
        """By number, the newest first, those before a number. None: all."""
        async with pinned(self._pool) as connection:
            rows = await connection.fetch(_statements.page, before, webhook_id, dead, limit)
        return [(row["number"], _delivery(row)) for row in rows]

    async def redeliver(self, webhook_id: UUID, delivery_ids: Sequence[UUID]) -> int:
        """Of these, or of all that are dead: how many are due now."""
        async with pinned(self._pool) as connection:
            return len(await connection.fetch(_statements.redeliver, webhook_id, list(delivery_ids)))

    async def _tell_late(self, connection: Connection) -> None:
        """Events that were set aside when it was their turn, and are in the history now."""
        async with connection.transaction():
            projected = await _projected(connection)
            await connection.execute(_statements.note_set_aside, STREAM, projected)
            for change in map(_change, await connection.fetch(_LATE)):
                past = [
                    row["webhook_id"] for row in await connection.fetch(_statements.past, change.position)
                ]
                states = await _states(connection, past, change.position - 1, change.position)
                await _add(connection, [row for id in past for row in _told(id, [change], states[id])])

    async def _fill_some(self, connection: Connection) -> bool:
        """One batch for the webhooks that are equally far; whether there may be more for any."""
        async with connection.transaction():
            projected = await _projected(connection)
            groups: dict[int, dict[UUID, int]] = defaultdict(dict)
            for row in await connection.fetch(_statements.behind, projected):
                if (room := self._most_waiting - row["waiting"]) > 0:
                    groups[row["position"]][row["webhook_id"]] = room
            if not groups:
                return False
            # Those that are behind come along first, and join the others.
            position = min(groups)
            await self._tell(connection, position, projected, groups[position])
        return True

    async def _tell(self, connection: Connection, after: int, projected: int, rooms: dict[UUID, int]) -> None:
        rows = await connection.fetch(_CHANGES, after, projected, _BATCH)
        until = rows[-1]["position"] if len(rows) == _BATCH else projected
        changes = [_change(row) for row in rows]
        states = await _states(connection, list(rooms), after, until)
        added: list[tuple[Any, ...]] = []
        for webhook_id, room in rooms.items():
            told = list(_told(webhook_id, changes, states[webhook_id]))
            end = until
            if len(told) > room:
                # Up to the event that fills it, whole.
                end = told[room - 1][3]
                told = [each for each in told if each[3] <= end]
            added += told
            if await connection.fetchval(_statements.move, webhook_id, after, end) is None:
                raise Retry("another replica fills the queue of webhooks")
        await _add(connection, added)


async def _projected(connection: Connection) -> int:
    return (await generations.pin(connection, [STREAM])).positions.get(STREAM, 0)


async def _states(
    connection: Connection, webhook_ids: Sequence[UUID], after: int, until: int
) -> Mapping[UUID, list[_State]]:
    """What webhooks were between two positions, the second included."""
    states: dict[UUID, list[_State]] = defaultdict(list)
    for row in await connection.fetch(_statements.states, webhook_ids, after, until):
        states[row["webhook_id"]].append(_state(row))
    return states


async def _add(connection: Connection, rows: list[tuple[Any, ...]]) -> None:
    """Their numbers are in the order of the log."""
    if rows:
        await connection.execute(_statements.add, *columns(sorted(rows, key=_place)))


def _place(row: Sequence[Any]) -> tuple[int, int]:
    return row[3], row[4]


def _told(
    webhook_id: UUID, changes: Sequence[_Change], states: Sequence[_State]
) -> Iterable[tuple[Any, ...]]:
    """Rows of what a webhook is told of some changes, in their order."""
    for change in changes:
        pairs = next((s.pairs for s in states if s.from_position <= change.position < s.until_position), ())
        for ordinal, occurrence in enumerate(change.occurrences):
            if occurrence.pair in pairs:
                delivery_id = uuid.uuid5(_NAMESPACE, f"{webhook_id.hex}.{change.position}.{ordinal}")
                yield delivery_id, webhook_id, change.model_id, change.position, ordinal, *occurrence.pair


def _change(row: Row) -> _Change:
    change = history_pb2.Change.FromString(row["change"])
    return _Change(row["position"], row["model_id"], occurrences_of(change, is_prompt=row["is_prompt"]))


def _state(row: Row) -> _State:
    webhook = webhook_pb2.Webhook.FromString(row["webhook"])
    active = webhook.status == webhook_pb2.WEBHOOK_STATUS_ACTIVE
    pairs = {pair_of(event) for event in webhook.events} if active else set()
    return _State(row["from_position"], row["until_position"], pairs)


def _waiting(row: Row) -> Waiting | None:
    webhook = webhook_pb2.Webhook.FromString(row["webhook"])
    if webhook.status != webhook_pb2.WEBHOOK_STATUS_ACTIVE:
        return None
    # Empty when the event was set aside in a rebuild.
    change = history_pb2.Change.FromString(row["change"] or b"")
    occurrences = occurrences_of(change, is_prompt=row["is_prompt"])[row["ordinal"] :][:1]
    pair = (row["entity"], row["action"])
    return Waiting(
        number=row["number"],
        delivery_id=row["delivery_id"],
        model_id=row["model_id"],
        attempts=row["attempts"],
        due_in_s=row["due_in_s"],
        url=webhook.url,
        sealed_secret=row["sealed_secret"],
        time_us=change.time_us,
        occurrence=next((one for one in occurrences if one.pair == pair), None),
    )


def _delivery(row: Row) -> webhook_pb2.Delivery:
    dead, tried = row["dead"], row["last_attempt_at"]
    return webhook_pb2.Delivery(
        delivery_id=str(row["delivery_id"]),
        webhook_id=row["webhook_id"].hex,
        event=webhook_pb2.WebhookEvent(entity=row["entity"], action=row["action"]),
        model_id=row["model_id"].hex,
        name=row["name"] or "",
        position=row["position"],
        state=webhook_pb2.DELIVERY_STATE_DEAD if dead else webhook_pb2.DELIVERY_STATE_WAITING,
        attempts=row["attempts"],
        due_us=0 if dead else int(row["due_at"].timestamp() * 1_000_000),
        last_status=row["last_status"],
        last_error=row["last_error"],
        last_attempt_us=int(tried.timestamp() * 1_000_000) if tried else 0,
    )
