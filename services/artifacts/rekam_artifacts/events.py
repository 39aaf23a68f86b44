"""The events of the artifacts service: the one list of what its stream may hold."""

from __future__ import annotations

from dataclasses import dataclass

from google.protobuf.message import Message

from rekam_proto.artifacts.v1 import artifact_pb2
from rekam_runtime.eventlog.envelope import registry_of, unwrap
from rekam_runtime.eventlog.port import Record, StreamSpec

SERVICE = "artifacts"
STREAM = "REKAM_ARTIFACTS"

FILES_SUBJECT = "rekam.artifacts.files"
USES_SUBJECT = "rekam.artifacts.uses"
UPLOADS_SUBJECT = "rekam.artifacts.uploads"
COLLECTIONS_SUBJECT = "rekam.artifacts.collections"

_SUBJECTS = {
    artifact_pb2.FilesPut: FILES_SUBJECT,
    artifact_pb2.FilesDeleted: FILES_SUBJECT,
    artifact_pb2.FilesUsed: USES_SUBJECT,
    artifact_pb2.UploadStarted: UPLOADS_SUBJECT,
    artifact_pb2.UploadAborted: UPLOADS_SUBJECT,
    artifact_pb2.GarbageCollected: COLLECTIONS_SUBJECT,
    artifact_pb2.ObjectsRemoved: COLLECTIONS_SUBJECT,
}
_EVENTS = registry_of(*_SUBJECTS)


def artifacts_stream(replicas: int = 1) -> StreamSpec:
    """The stream of the service's events; kept for ever."""
    return StreamSpec(STREAM, ("rekam.artifacts.>",), replicas)


def subject_of(event: Message) -> str:
    return _SUBJECTS[type(event)]


@dataclass(frozen=True, slots=True)
class Placed:
    """An event, and where and when it was stored."""

    event: Message
    position: int
    time_us: int


def decode(record: Record) -> Placed:
    """A record's event; raises Quarantine when this version cannot read it."""
    envelope, event = unwrap(record, _EVENTS)
    return Placed(event, record.position, envelope.time_us)
