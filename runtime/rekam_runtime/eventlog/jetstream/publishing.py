"""Appending one event, or several as one atomic batch."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import msgspec

from rekam_runtime.errors import RekamError
from rekam_runtime.eventlog.jetstream import faults, reading
from rekam_runtime.eventlog.jetstream.connection import ApiError, Connection
from rekam_runtime.eventlog.port import Conflict, Draft

_EVENT_ID = "Nats-Msg-Id"
_EXPECTED = "Nats-Expected-Last-Subject-Sequence"


class _Acknowledgement(msgspec.Struct):
    stream: str = ""
    seq: int = 0
    error: ApiError | None = None


async def append(connection: Connection, draft: Draft) -> int:
    """Store one event, once, however often it is sent."""
    headers = {_EVENT_ID: draft.event_id}
    if draft.expected is not None:
        headers[_EXPECTED] = str(draft.expected)
    reply = await connection.request(draft.subject, draft.data, headers)
    acknowledgement, error = _decode(reply.data)
    if error is None:
        return acknowledgement.seq
    # JetStream compares positions before it looks for duplicates, so that an event sent again
    # conflicts with itself: the record right after the expected one tells whether that is so.
    if isinstance(error, Conflict) and draft.expected is not None and acknowledgement.stream:
        found = await reading.first(connection, acknowledgement.stream, draft.subject, draft.expected)
        if found is not None and found.event_id == draft.event_id:
            return found.record.position
    raise error


async def append_batch(connection: Connection, drafts: Sequence[Draft]) -> list[int]:
    """Store all or none. JetStream shows none of a batch before its commit."""
    batch_id = uuid.uuid4().hex
    subjects: set[str] = set()
    acknowledgement, error = _Acknowledgement(), None
    for number, draft in enumerate(drafts, start=1):
        headers = {_EVENT_ID: draft.event_id, "Nats-Batch-Id": batch_id, "Nats-Batch-Sequence": str(number)}
        if draft.expected is not None and draft.subject not in subjects:
            headers[_EXPECTED] = str(draft.expected)
        subjects.add(draft.subject)
        if number == len(drafts):
            headers["Nats-Batch-Commit"] = "1"
        elif number > 1:
            await connection.publish(draft.subject, draft.data, headers=headers)
            continue
        # The first answer says whether the server takes the batch, the last whether it is stored.
        reply = await connection.request(draft.subject, draft.data, headers)
        acknowledgement, error = _decode(reply.data)
        if error is not None:
            break
    if error is None:
        last = acknowledgement.seq
        return list(range(last - len(drafts) + 1, last + 1))
    if isinstance(error, Conflict):
        stored = await _stored(connection, acknowledgement.stream, drafts)
        if stored is not None:
            return stored
    raise error


async def _stored(connection: Connection, stream: str, drafts: Sequence[Draft]) -> list[int] | None:
    """Positions of the drafts if all are in the stream already, as after a lost answer."""
    starts: dict[str, int] = {}
    for draft in drafts:
        starts.setdefault(draft.subject, draft.expected or 0)
    positions: dict[str, int] = {}
    for subject, after in starts.items():
        async for found in reading.each(connection, stream, subject, after, replicated=True):
            positions[found.event_id] = found.record.position
    if all(draft.event_id in positions for draft in drafts):
        return [positions[draft.event_id] for draft in drafts]
    return None


def _decode(answer: bytes) -> tuple[_Acknowledgement, RekamError | None]:
    if not answer:
        return _Acknowledgement(), None
    acknowledgement = msgspec.json.decode(answer, type=_Acknowledgement)
    error = acknowledgement.error
    if error is None:
        return acknowledgement, None
    return acknowledgement, faults.error_of(error.code, error.err_code, error.description)
