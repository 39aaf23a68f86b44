"""The control events of the tracking service: the one list of what its stream may hold."""

from __future__ import annotations

from google.protobuf.message import Message

from rekam_proto.event.v1.envelope_pb2 import Envelope
from rekam_proto.tracking.v1 import experiment_pb2, logged_model_pb2, run_pb2
from rekam_runtime.eventlog.envelope import registry_of, unwrap
from rekam_runtime.eventlog.port import Record, StreamSpec

SERVICE = "tracking"
STREAM = "REKAM_TRACKING"

CATALOG_SUBJECT = "rekam.tracking.experiments"

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


def experiment_subject(experiment_id: str) -> str:
    """Of its tags; the rest of all experiments is one subject."""
    return f"rekam.tracking.experiment.{experiment_id}"


def run_subject(run_id: str) -> str:
    return f"rekam.tracking.run.{run_id}"


def model_subject(model_id: str) -> str:
    return f"rekam.tracking.model.{model_id}"


def decode(record: Record) -> tuple[Envelope, Message]:
    """A record's envelope and event; raises Quarantine when this version cannot read it."""
    return unwrap(record, _EVENTS)
