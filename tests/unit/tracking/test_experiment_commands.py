"""Decisions on experiments, against catalogs folded from events."""

from __future__ import annotations

import pytest
from google.protobuf.message import Message

from rekam_proto.event.v1.envelope_pb2 import Envelope, Origin
from rekam_proto.tracking.v1 import read_pb2
from rekam_proto.tracking.v1.experiment_pb2 import ExperimentTagsDeleted, ExperimentTagsSet
from rekam_proto.tracking.v1.read_pb2 import Tag
from rekam_runtime.errors import AlreadyExists, FailedPrecondition, NotFound
from rekam_tracking.experiments import command
from rekam_tracking.experiments.command import Catalog, Tags

ROOT = "mlflow-artifacts:/"


class Story:
    """A catalog and the events that made it."""

    def __init__(self) -> None:
        self.catalog = Catalog()
        self.position = 0
        self.take(command.create_default(self.catalog, root=ROOT, now_ms=1))

    def take(self, event: Message | None, origin: Origin | None = None) -> None:
        assert event is not None
        self.position += 1
        self.catalog.apply(event, Envelope(origin=origin), self.position)

    def create(self, name: str, location: str = "") -> str:
        event = command.create(
            self.catalog, name=name, artifact_location=location, tags={}, root=ROOT, now_ms=2
        )
        assert event is not None
        self.take(event)
        return event.experiment_id


def test_ids_are_small_and_increase_and_default_is_zero() -> None:
    story = Story()
    assert command.find(story.catalog, "0").experiment.name == "Default"
    assert [story.create("a"), story.create("b")] == ["1", "2"]
    assert command.create_default(story.catalog, root=ROOT, now_ms=9) is None


def test_the_artifact_location_is_the_root_and_the_id_unless_given() -> None:
    story = Story()
    assert command.find(story.catalog, story.create("a")).artifact_location == "mlflow-artifacts:/1"
    assert command.find(story.catalog, story.create("b", "s3://x")).artifact_location == "s3://x"


def test_a_name_is_taken_by_active_and_deleted_alike() -> None:
    story = Story()
    id = story.create("a")
    with pytest.raises(AlreadyExists, match=r"Experiment\(name=a\) already exists"):
        story.create("a")
    story.take(command.delete(story.catalog, id, now_ms=3))
    with pytest.raises(AlreadyExists):
        story.create("a")
    with pytest.raises(FailedPrecondition, match="deleted"):
        command.ensure(story.catalog, name="a", artifact_location="", tags={}, root=ROOT, now_ms=3)


def test_ensure_creates_once() -> None:
    story = Story()
    story.take(command.ensure(story.catalog, name="a", artifact_location="", tags={}, root=ROOT, now_ms=3))
    assert command.ensure(story.catalog, name="a", artifact_location="", tags={}, root=ROOT, now_ms=3) is None


def test_a_rename_frees_the_old_name() -> None:
    story = Story()
    first, second = story.create("a"), story.create("b")
    with pytest.raises(AlreadyExists):
        command.rename(story.catalog, first, "b", now_ms=5)
    assert command.rename(story.catalog, first, "a", now_ms=5) is None
    story.take(command.rename(story.catalog, first, "c", now_ms=5))
    story.take(command.rename(story.catalog, second, "a", now_ms=6))
    entry = command.find(story.catalog, first)
    assert (entry.experiment.name, entry.experiment.updated_ms, entry.experiment.created_ms) == ("c", 5, 2)
    assert story.catalog.by_name("b") is None
    assert story.create("b") == "3"


def test_delete_and_restore_refuse_what_is_done_already() -> None:
    story = Story()
    id = story.create("a")
    with pytest.raises(NotFound):
        command.restore(story.catalog, id, now_ms=3)
    story.take(command.delete(story.catalog, id, now_ms=3))
    with pytest.raises(NotFound):
        command.delete(story.catalog, id, now_ms=3)
    with pytest.raises(FailedPrecondition, match="Cannot rename a non-active experiment"):
        command.rename(story.catalog, id, "x", now_ms=3)
    with pytest.raises(FailedPrecondition, match="must be in the 'active' state"):
        command.find_active(story.catalog, id)
    story.take(command.restore(story.catalog, id, now_ms=7))
    entry = command.find_active(story.catalog, id)
    assert (entry.lifecycle, entry.experiment.updated_ms) == (read_pb2.LIFECYCLE_ACTIVE, 7)


def test_an_unknown_experiment_is_not_found() -> None:
    catalog = Story().catalog
    for decide in (
        lambda: command.rename(catalog, "9", "x", now_ms=1),
        lambda: command.delete(catalog, "9", now_ms=1),
        lambda: command.restore(catalog, "9", now_ms=1),
        lambda: command.find_active(catalog, "9"),
    ):
        with pytest.raises(NotFound, match="No Experiment with id=9 exists"):
            decide()


def test_tags_are_those_of_the_creation_changed_since() -> None:
    tags = Tags()
    created_with = [Tag(key="a", value="1"), Tag(key="b", value="2")]
    tags.apply(ExperimentTagsSet(tags=[Tag(key="b", value="3"), Tag(key="c", value="4")]), Envelope(), 1)
    tags.apply(ExperimentTagsDeleted(keys=["a"]), Envelope(), 2)
    assert tags.over(created_with) == [Tag(key="b", value="3"), Tag(key="c", value="4")]


def test_deleting_tags_passes_over_those_not_set() -> None:
    story = Story()
    entry = command.find_active(story.catalog, story.create("a"))
    tags = Tags()
    assert command.delete_tags(entry, tags, ["x"]) is None
    tags.apply(ExperimentTagsSet(tags=[Tag(key="x", value="1")]), Envelope(), 1)
    event = command.delete_tags(entry, tags, ["x", "x", "y"])
    assert event is not None
    assert list(event.keys) == ["x"]
    assert command.set_tags(entry, {}) is None


def test_a_request_sent_again_is_answered_like_the_first_time() -> None:
    story = Story()
    create, move = Origin(writer="call-1", sequence=1), Origin(writer="call-2", sequence=1)

    def creation(origin: Origin) -> Message | None:
        return command.create(
            story.catalog, name="a", artifact_location="", tags={}, root=ROOT, now_ms=2, origin=origin
        )

    story.take(creation(create), create)
    assert creation(create) is None
    with pytest.raises(AlreadyExists):
        creation(move)
    story.take(command.delete(story.catalog, "1", now_ms=3, origin=move), move)
    assert command.delete(story.catalog, "1", now_ms=4, origin=move) is None
    with pytest.raises(NotFound):
        command.delete(story.catalog, "1", now_ms=4, origin=create)
    story.take(command.restore(story.catalog, "1", now_ms=5, origin=create), create)
    assert command.restore(story.catalog, "1", now_ms=6, origin=create) is None
    with pytest.raises(NotFound):
        command.restore(story.catalog, "1", now_ms=6, origin=move)
