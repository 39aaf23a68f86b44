"""The control events of the tracking service: the one list of what its stream may hold."""

from __future__ import annotations

from google.protobuf.message import DecodeError, Message

from rekam_proto.event.v1 import envelope_pb2
from rekam_proto.tracking.v1 import experiment_pb2, run_pb2
from rekam_runtime.errors import Quarantine

STREAM = "REKAM_TRACKING"
SUBJECTS = "rekam.tracking.>"

CATALOG_SUBJECT = "rekam.tracking.experiments"
EXPERIMENT_SUBJECT_PREFIX = "rekam.tracking.experiment."
RUN_SUBJECT_PREFIX = "rekam.tracking.run."

SCHEMA_VERSION = 1

EVENTS: dict[str, type[Message]] = {
    event.DESCRIPTOR.full_name: event
    for event in (
        experiment_pb2.ExperimentCreated,
        experiment_pb2.ExperimentRenamed,
        experiment_pb2.ExperimentDeleted,
        experiment_pb2.ExperimentRestored,
        experiment_pb2.ExperimentTagsSet,
        experiment_pb2.ExperimentTagsDeleted,
        run_pb2.RunCreated,
        run_pb2.RunUpdated,
        run_pb2.RunDeleted,
        run_pb2.RunRestored,
        run_pb2.ParamsLogged,
        run_pb2.TagsSet,
        run_pb2.TagsDeleted,
    )
}


def decode(data: bytes) -> tuple[envelope_pb2.Envelope, Message]:
    """A record's envelope and event; raises Quarantine when this version cannot read it."""
    try:
        envelope = envelope_pb2.Envelope.FromString(data)
    except DecodeError:
        raise Quarantine("the record is no envelope") from None
    event_class = EVENTS.get(envelope.type)
    if event_class is None:
        raise Quarantine(f"unknown event type {envelope.type!r}")
    if envelope.schema_version > SCHEMA_VERSION:
        raise Quarantine(f"{envelope.type} has schema version {envelope.schema_version}, known is 1")
    try:
        return envelope, event_class.FromString(envelope.payload)
    except DecodeError:
        raise Quarantine(f"the payload is no {envelope.type}") from None
