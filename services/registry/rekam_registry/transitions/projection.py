"""Requests for transitions: events to rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from rekam_proto.registry.v1 import alias_pb2, model_pb2, transition_pb2, version_pb2
from rekam_registry.timelines import Entry, Timeline
from rekam_runtime.errors import Quarantine
from rekam_runtime.postgres import Connection, Row, Statements

_statements = Statements.load("rekam_registry.transitions", "projection.sql")
_Carrying = version_pb2.VersionTransitioned | alias_pb2.AliasSet


class RequestRow(NamedTuple):
    version: int
    state: int
    request: bytes


_Requests = Timeline[RequestRow]


async def apply(connection: Connection, entries: Sequence[Entry]) -> None:
    """Write events in their order; those of other nouns are passed over."""
    requests: _Requests = Timeline(_statements.close, _statements.insert)
    for entry in entries:
        event = entry.event
        match event:
            case transition_pb2.TransitionRequested():
                _request(requests, event, entry)
            case transition_pb2.TransitionRejected():
                await _decide(connection, requests, event.request_id, entry, rejected=True)
            case _ if isinstance(event, _Carrying) and event.request_id:
                await _decide(connection, requests, event.request_id, entry, rejected=False)
            case version_pb2.VersionDeleted():
                await requests.write(connection)
                await _void(connection, requests, event, entry)
            case model_pb2.ModelDeleted():
                await requests.write(connection)
                await connection.execute(
                    _statements.close_all, UUID(event.model_id), entry.position, entry.time_us
                )
            case _:
                pass
    await requests.write(connection)


def _request(requests: _Requests, event: transition_pb2.TransitionRequested, entry: Entry) -> None:
    request = transition_pb2.TransitionRequest(
        request_id=event.request_id,
        model_id=event.model_id,
        version=event.version,
        archive_existing=event.archive_existing,
        state=transition_pb2.TRANSITION_STATE_PENDING,
        requester=entry.envelope.actor,
        reason=entry.envelope.reason,
        requested_us=entry.time_us,
    )
    if event.WhichOneof("to") == "stage":
        request.stage = event.stage
    else:
        request.alias = event.alias
    _set(requests, request, entry)


async def _decide(
    connection: Connection, requests: _Requests, request_id: int, entry: Entry, *, rejected: bool
) -> None:
    key = (UUID(entry.event.model_id), request_id)
    row = requests.now(key)
    stored = row.request if row is not None else await _stored(connection, key, entry)
    state = transition_pb2.TRANSITION_STATE_REJECTED if rejected else transition_pb2.TRANSITION_STATE_APPROVED
    _end(requests, stored, state, entry)


async def _void(
    connection: Connection, requests: _Requests, event: version_pb2.VersionDeleted, entry: Entry
) -> None:
    pending: Sequence[Row] = await connection.fetch(
        _statements.pending, UUID(event.model_id), event.version, transition_pb2.TRANSITION_STATE_PENDING
    )
    for row in pending:
        _end(requests, row["request"], transition_pb2.TRANSITION_STATE_VOID, entry)


async def _stored(connection: Connection, key: tuple[UUID, int], entry: Entry) -> bytes:
    row = await connection.fetchrow(_statements.current, [key[0]], [key[1]])
    if row is None:
        raise Quarantine(f"record {entry.position} decides request {key[1]}, which is not there")
    request: bytes = row["request"]
    return request


def _end(requests: _Requests, stored: bytes, state: transition_pb2.TransitionState, entry: Entry) -> None:
    request = transition_pb2.TransitionRequest.FromString(stored)
    request.state = state
    request.decider, request.decision_reason = entry.envelope.actor, entry.envelope.reason
    request.decided_us = entry.time_us
    _set(requests, request, entry)


def _set(requests: _Requests, request: transition_pb2.TransitionRequest, entry: Entry) -> None:
    row = RequestRow(request.version, request.state, request.SerializeToString())
    requests.set((UUID(request.model_id), request.request_id), row, entry)
