"""Decisions on logged models, against states folded from events."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import pytest
from google.protobuf.message import Message

from rekam_proto.event.v1.envelope_pb2 import Envelope, Origin
from rekam_proto.tracking.v1 import logged_model_pb2 as m
from rekam_proto.tracking.v1 import read_pb2
from rekam_runtime.errors import AlreadyExists, FailedPrecondition, Invalid, NotFound
from rekam_tracking.logged_models import command
from rekam_tracking.logged_models.command import LoggedModelState

MODEL = "m-0123456789abcdef0123456789abcdef"


@dataclass
class Experiment:
    experiment_id: str = "1"
    artifact_location: str = "s3://bucket/1/?x=y"
    lifecycle: read_pb2.Lifecycle = read_pb2.LIFECYCLE_ACTIVE
    lifecycle_position: int = 0


@dataclass
class Story:
    """A model and what its events made of it."""

    state: LoggedModelState = field(default_factory=LoggedModelState)

    def take(self, event: Message | None, origin: Origin | None = None) -> bool:
        if event is not None:
            self.state.apply(event, Envelope(origin=origin), 1)
        return event is not None

    def create(self, experiment: Experiment | None, origin: Origin | None = None) -> bool:
        event = command.create(
            self.state,
            model_id=MODEL,
            experiment_id="1",
            experiment=experiment,
            name="forest",
            model_type="regressor",
            source_run_id="",
            tags={"a": "1"},
            params={"depth": "5"},
            now_ms=7,
            origin=origin,
        )
        return self.take(event, origin)

    def finalize(self, status: m.LoggedModelStatus, origin: Origin | None = None) -> bool:
        return self.take(command.finalize(self.state, status, now_ms=9, origin=origin), origin)


@pytest.fixture
def story() -> Story:
    created = Story()
    assert created.create(Experiment())
    return created


def test_a_model_starts_pending_below_its_experiment(story: Story) -> None:
    state = story.state
    assert (state.status, state.created_ms, state.updated_ms) == (m.LOGGED_MODEL_STATUS_PENDING, 7, 7)
    assert state.artifact_uri == f"s3://bucket/1/models/{MODEL}/artifacts?x=y"
    assert (state.tags, state.params) == ({"a": "1"}, {"depth": "5"})


def test_a_creation_sent_again_is_the_same_model(story: Story) -> None:
    with pytest.raises(AlreadyExists):
        story.create(Experiment())
    mine = Origin(writer="w", sequence=1)
    other = Story()
    assert other.create(Experiment(), mine)
    assert not other.create(None, mine)
    with pytest.raises(AlreadyExists):
        other.create(Experiment(), Origin(writer="v", sequence=1))


def test_creation_needs_an_active_experiment() -> None:
    with pytest.raises(NotFound):
        Story().create(None)
    with pytest.raises(FailedPrecondition):
        Story().create(Experiment(lifecycle=read_pb2.LIFECYCLE_DELETED))


def test_the_last_word_on_a_models_status_counts(story: Story) -> None:
    assert story.finalize(m.LOGGED_MODEL_STATUS_READY)
    assert not story.finalize(m.LOGGED_MODEL_STATUS_READY)
    assert story.finalize(m.LOGGED_MODEL_STATUS_UPLOAD_FAILED)
    assert (story.state.status, story.state.updated_ms) == (m.LOGGED_MODEL_STATUS_UPLOAD_FAILED, 9)


def test_a_writers_record_is_applied_once(story: Story) -> None:
    mine = Origin(writer="w", sequence=3)
    assert story.finalize(m.LOGGED_MODEL_STATUS_PENDING, mine)
    assert not story.finalize(m.LOGGED_MODEL_STATUS_READY, mine)
    assert command.set_tags(story.state, {"b": "2"}, mine) is None
    assert command.delete_tags(story.state, ["a"], mine) is None
    assert command.log_params(story.state, {"b": "2"}, mine) is None
    assert command.log_metrics(story.state, [m.LoggedModelMetric(key="k")], mine) is None


def test_params_are_written_once(story: Story) -> None:
    event = command.log_params(story.state, {"depth": "5", "lr": "0.1"}, None)
    assert event is not None
    assert list(event.params) == [read_pb2.Param(key="lr", value="0.1")]
    assert command.log_params(story.state, {"depth": "5"}, None) is None
    with pytest.raises(Invalid, match="depth"):
        command.log_params(story.state, {"depth": "6"}, None)


def test_tags_are_set_and_deleted(story: Story) -> None:
    assert not story.take(command.set_tags(story.state, {"a": "1"}, None))
    assert story.take(command.set_tags(story.state, {"a": "2", "b": ""}, None))
    assert story.take(command.delete_tags(story.state, ["a", "a"], None))
    assert story.state.tags == {"b": ""}
    with pytest.raises(NotFound):
        command.delete_tags(story.state, ["a"], None)


def test_a_deleted_model_is_not_there(story: Story) -> None:
    command.require(story.state, MODEL)
    assert story.take(command.delete(story.state, now_ms=11))
    assert story.state.updated_ms == 11
    assert command.delete(story.state, now_ms=12) is None
    with pytest.raises(NotFound):
        command.require(story.state, MODEL)
    with pytest.raises(NotFound):
        command.require(LoggedModelState(), MODEL)


def test_versions_made_from_it_are_recorded_in_a_tag(story: Story) -> None:
    mine = Origin(writer="w", sequence=1)
    assert story.take(command.record_version(story.state, "Fraud", 1, mine), mine)
    assert not story.take(command.record_version(story.state, "Fraud", 1, mine), mine)
    assert story.take(command.record_version(story.state, "Risk", 7, None))
    recorded = '[{"name": "Fraud", "version": 1}, {"name": "Risk", "version": 7}]'
    assert story.state.tags == {"a": "1", command.VERSIONS_TAG: recorded}
    full = json.dumps(["x" * 65_500])
    for value, error in (("{}", FailedPrecondition), ("[", FailedPrecondition), (full, Invalid)):
        story.state.tags[command.VERSIONS_TAG] = value
        with pytest.raises(error):
            command.record_version(story.state, "Fraud", 2, None)
