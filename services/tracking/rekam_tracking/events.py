"""The control events of the tracking service: the one list of what its stream may hold."""

from __future__ import annotations

from google.protobuf.message import Message

from rekam_proto.event.v1.envelope_pb2 import Envelope
from rekam_proto.tracking.v1 import experiment_pb2, logged_model_pb2, run_pb2
from rekam_runtime.errors import Quarantine
from rekam_runtime.eventlog.envelope import registry_of, unwrap
from rekam_runtime.eventlog.port import Record, StreamSpec

SERVICE = "tracking"
STREAM = "REKAM_TRACKING"

CATALOG_SUBJECT = "rekam.tracking.experiments"
EXPERIMENT_SUBJECT_PREFIX = "rekam.tracking.experiment."
RUN_SUBJECT_PREFIX = "rekam.tracking.run."
MODEL_SUBJECT_PREFIX = "rekam.tracking.model."

_SCHEMA_VERSION = 1

_EVENTS = registry_of(
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
    run_pb2.InputsLogged,
    run_pb2.OutputsLogged,
    logged_model_pb2.LoggedModelCreated,
    logged_model_pb2.LoggedModelFinalized,
    logged_model_pb2.LoggedModelDeleted,
    logged_model_pb2.LoggedModelTagsSet,
    logged_model_pb2.LoggedModelTagsDeleted,
    logged_model_pb2.LoggedModelParamsLogged,
    logged_model_pb2.LoggedModelMetricsLogged,
)


def control_stream(replicas: int = 1) -> StreamSpec:
    """The stream of the control events; kept for ever."""
    return StreamSpec(STREAM, ("rekam.tracking.>",), replicas)


def decode(record: Record) -> tuple[Envelope, Message]:
    """A record's envelope and event; raises Quarantine when this version cannot read it."""
    envelope, event = unwrap(record, _EVENTS)
    if envelope.schema_version > _SCHEMA_VERSION:
        raise Quarantine(
            f"record {record.position} has schema version {envelope.schema_version} of {envelope.type}; "
            f"known is {_SCHEMA_VERSION}"
        )
    return envelope, event
