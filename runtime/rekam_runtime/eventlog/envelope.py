"""Events to and from the envelope that the log stores."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping

from google.protobuf.message import DecodeError, Message

from rekam_proto.event.v1.envelope_pb2 import Envelope, Origin
from rekam_runtime.errors import Quarantine
from rekam_runtime.eventlog.port import Draft, Record


def type_name(message: Message | type[Message]) -> str:
    """Full protobuf name, the key of an event type."""
    return message.DESCRIPTOR.full_name


def registry_of(*types: type[Message]) -> dict[str, type[Message]]:
    """The event types that a service reads, by name."""
    return {type_name(one): one for one in types}


def wrap(
    message: Message,
    *,
    aggregate: str,
    actor: str,
    origin: Origin | None = None,
    traceparent: str = "",
    causation_id: bytes = b"",
    event_id: bytes | None = None,
    schema_version: int = 1,
) -> Envelope:
    """An event as it is to be stored, now."""
    return Envelope(
        event_id=event_id or uuid.uuid4().bytes,
        type=type_name(message),
        schema_version=schema_version,
        aggregate=aggregate,
        actor=actor,
        time_us=time.time_ns() // 1000,
        traceparent=traceparent,
        causation_id=causation_id,
        origin=origin,
        payload=message.SerializeToString(),
    )


def draft(subject: str, envelope: Envelope, expected: int | None = None) -> Draft:
    """What to append for an envelope; its event id is the log's idempotency key."""
    return Draft(subject, envelope.SerializeToString(), envelope.event_id.hex(), expected)


def unwrap(record: Record, registry: Mapping[str, type[Message]]) -> tuple[Envelope, Message]:
    """Envelope and event of a record; Quarantine when it cannot be read."""
    try:
        envelope = Envelope.FromString(record.data)
    except DecodeError as error:
        raise Quarantine(f"record {record.position} is not an envelope: {error}") from error
    known = registry.get(envelope.type)
    if known is None:
        raise Quarantine(f"record {record.position} is of unknown type {envelope.type!r}")
    try:
        return envelope, known.FromString(envelope.payload)
    except DecodeError as error:
        raise Quarantine(f"record {record.position} is not a {envelope.type}: {error}") from error
