"""Every event ever stored stays readable: each stored sample still says what it said."""

from __future__ import annotations

import pytest

from rekam_proto.artifacts.v1 import artifact_pb2
from rekam_proto.ingest.v1 import points_pb2
from rekam_proto.registry.v1 import alias_pb2, model_pb2, transition_pb2, version_pb2, webhook_pb2
from rekam_proto.tracking.v1 import dataset_pb2, experiment_pb2, logged_model_pb2, run_pb2
from tests.golden.record import record
from tests.golden.samples import Sample, all_samples, message_class

SAMPLES = all_samples()

# Requests, answers and parts of messages; everything else beside them is an event.
NOT_EVENTS = ("Request", "Response")
PARTS = {
    "Experiment",
    "Run",
    "RunState",
    "RunColumns",
    "PairColumns",
    "LatestMetric",
    "LatestMetricColumns",
    "RunInputs",
    "RunOutputs",
    "ModelInput",
    "ModelOutput",
    "Dataset",
    "DatasetInput",
    "DatasetSummary",
    "DatasetReference",
    "LoggedModel",
    "LoggedModelMetric",
    "LoggedModelOrder",
    "PointRecord",
    "StoredFrame",
    "StoredText",
    "WriterSeen",
    "File",
    "Entry",
    "Folder",
    "Blob",
    "Upload",
    "SignedPart",
    "Part",
    "SignedDownload",
    "Edge",
    "RegisteredModel",
    "Alias",
    "Protection",
    "ModelVersion",
    "VersionReference",
    "Webhook",
    "WebhookEvent",
    "Delivery",
}
FILES = (
    artifact_pb2,
    dataset_pb2,
    experiment_pb2,
    logged_model_pb2,
    run_pb2,
    points_pb2,
    model_pb2,
    version_pb2,
    alias_pb2,
    transition_pb2,
    webhook_pb2,
)


def event_types() -> set[str]:
    """Full names of the events that the protos declare."""
    return {
        message.full_name
        for file in FILES
        for message in file.DESCRIPTOR.message_types_by_name.values()
        if not message.name.endswith(NOT_EVENTS) and message.name not in PARTS
    }


def test_every_event_has_a_sample() -> None:
    assert event_types() == {sample.type for sample in SAMPLES}


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_stored_sample_still_says_the_same(sample: Sample) -> None:
    envelope = sample.envelope()
    assert (envelope.type, envelope.schema_version) == (sample.type, sample.version)
    assert len(envelope.event_id) == 16
    assert envelope.actor == "golden"
    assert envelope.time_us == 1_700_000_000_000_000 + sample.version
    assert (envelope.origin.writer, envelope.origin.sequence) == ("w.0-a_b", 7)
    assert message_class(sample.type).FromString(envelope.payload) == sample.said()


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_sample_knows_every_field_it_stored(sample: Sample) -> None:
    payload = message_class(sample.type).FromString(sample.envelope().payload)
    before = payload.ByteSize()
    payload.DiscardUnknownFields()
    assert payload.ByteSize() == before


def test_a_stored_sample_is_never_overwritten() -> None:
    before = SAMPLES[0].stored.read_bytes()
    with pytest.raises(FileExistsError):
        record(SAMPLES[0])
    assert SAMPLES[0].stored.read_bytes() == before
