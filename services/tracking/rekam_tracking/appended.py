"""What points streams hold: every noun's records of a batch, checked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from google.protobuf.message import DecodeError

from rekam_proto.event.v1.envelope_pb2 import Envelope
from rekam_proto.ingest.v1 import points_pb2, views_pb2
from rekam_runtime.errors import Quarantine
from rekam_runtime.eventlog.envelope import payload_of, type_name
from rekam_runtime.eventlog.port import Record
from rekam_tracking.metrics.frames import Frame, check_key_set, frame_of
from rekam_tracking.texts.lines import Text, text_of
from rekam_tracking.writers import Heartbeat, heartbeat_of

_SCHEMA_VERSION = 1
_EVENT = type_name(points_pb2.PointsAppended)


@dataclass(slots=True)
class Appended:
    """What records add up to.

    key_sets: keys by hash, those announced in these records.
    sent: in the order of the log, which decides between two with one sequence.
    """

    key_sets: dict[bytes, Sequence[str]] = field(default_factory=dict)
    sent: list[Frame | Text] = field(default_factory=list)
    heartbeats: list[Heartbeat] = field(default_factory=list)

    @property
    def frames(self) -> list[Frame]:
        return [one for one in self.sent if isinstance(one, Frame)]


def decode(records: Iterable[Record]) -> Appended:
    """Read records; raises Quarantine when one of them is malformed."""
    batch = Appended()
    for record in records:
        try:
            _add(batch, record.data)
        except DecodeError as error:
            raise Quarantine(f"record {record.position} cannot be read: {error}") from error
    return batch


def _add(batch: Appended, data: bytes) -> None:
    envelope = Envelope.FromString(data)
    if envelope.type != _EVENT:
        raise Quarantine(f"a points stream has events {_EVENT}, this one is {envelope.type!r}")
    if envelope.schema_version > _SCHEMA_VERSION:
        raise Quarantine(f"{_EVENT} has schema version {envelope.schema_version}, known is {_SCHEMA_VERSION}")
    heard_us = envelope.time_us
    for record in views_pb2.PointsAppendedView.FromString(payload_of(envelope)).records:
        match record.WhichOneof("body"):
            case "frame":
                batch.sent.append(frame_of(record.frame, heard_us))
            case "key_set":
                check_key_set(record.key_set)
                batch.key_sets[record.key_set.hash] = record.key_set.keys
            case "text":
                batch.sent.append(text_of(record.text, heard_us))
            case "seen":
                batch.heartbeats.append(heartbeat_of(record.seen, heard_us))
            case _:
                raise Quarantine("a point record is of no kind that this version knows")
