"""Events to and from the envelope that the log stores."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from google.protobuf.message import DecodeError, Message
from numcodecs.zstd import Zstd

from rekam_proto.event.v1.envelope_pb2 import COMPRESSION_NONE, COMPRESSION_ZSTD, Envelope, Origin
from rekam_runtime.errors import Invalid, Quarantine
from rekam_runtime.eventlog.port import Draft, Record

# Of every event so far.
SCHEMA_VERSION = 1
# A log takes messages of 1 MiB, the envelope's other fields and headers included.
MAX_PAYLOAD_BYTES = 1_000_000
# Smaller ones are not worth the time.
_COMPRESSED_FROM_BYTES = 100_000
_zstd = Zstd(level=3)


@dataclass(frozen=True, slots=True)
class Cause:
    """What an event's envelope says about where it came from."""

    actor: str = ""
    reason: str = ""
    origin: Origin | None = None
    traceparent: str = ""

    @property
    def writer(self) -> str:
        """Who sent the request, when the same one may come again; else empty."""
        return "" if self.origin is None else self.origin.writer


def type_name(message: Message | type[Message]) -> str:
    """Full protobuf name, the key of an event type."""
    return message.DESCRIPTOR.full_name


def registry_of(*types: type[Message]) -> dict[str, type[Message]]:
    """The event types that a service reads, by name."""
    return {type_name(one): one for one in types}


def wrap(message: Message, cause: Cause, *, aggregate: str, time_us: int = 0) -> Envelope:
    """An event as it is to be stored. Raises Invalid when it is too large for the log.

    time_us: when it was decided; 0: now.
    """
    payload, compression = message.SerializeToString(), COMPRESSION_NONE
    if len(payload) > _COMPRESSED_FROM_BYTES:
        payload, compression = _zstd.encode(payload), COMPRESSION_ZSTD
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise Invalid(
            f"an event has at most {MAX_PAYLOAD_BYTES:,} bytes, compressed; this one has {len(payload):,}: "
            "send less at a time"
        )
    return Envelope(
        event_id=uuid.uuid4().bytes,
        type=type_name(message),
        schema_version=SCHEMA_VERSION,
        aggregate=aggregate,
        actor=cause.actor,
        time_us=time_us or time.time_ns() // 1000,
        traceparent=cause.traceparent,
        origin=cause.origin,
        payload=payload,
        compression=compression,
        reason=cause.reason,
    )


def draft(subject: str, envelope: Envelope, expected: int | None = None) -> Draft:
    """What to append for an envelope; its event id is the log's idempotency key."""
    return Draft(subject, envelope.SerializeToString(), envelope.event_id.hex(), expected)


def payload_of(envelope: Envelope) -> bytes:
    """The serialized event; Quarantine when it cannot be decompressed."""
    match envelope.compression:
        case 0:
            return envelope.payload
        case 1:
            try:
                return bytes(_zstd.decode(envelope.payload))
            except RuntimeError as error:
                raise Quarantine(f"the payload cannot be decompressed: {error}") from error
    raise Quarantine(f"the payload's compression {envelope.compression} is not known")


def unwrap(record: Record, registry: Mapping[str, type[Message]]) -> tuple[Envelope, Message]:
    """Envelope and event of a record; Quarantine when it cannot be read."""
    try:
        envelope = Envelope.FromString(record.data)
    except DecodeError as error:
        raise Quarantine(f"record {record.position} is not an envelope: {error}") from error
    known = registry.get(envelope.type)
    if known is None:
        raise Quarantine(f"record {record.position} is of unknown type {envelope.type!r}")
    if envelope.schema_version > SCHEMA_VERSION:
        raise Quarantine(
            f"record {record.position} has schema version {envelope.schema_version} of {envelope.type}; "
            f"known is {SCHEMA_VERSION}"
        )
    try:
        return envelope, known.FromString(payload_of(envelope))
    except DecodeError as error:
        raise Quarantine(f"record {record.position} is not a {envelope.type}: {error}") from error
