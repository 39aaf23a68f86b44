"""Decisions on runs, against states folded from events, and held against a simple model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st

from rekam_proto.event.v1.envelope_pb2 import Envelope, Origin
from rekam_proto.tracking.v1 import dataset_pb2, read_pb2, run_pb2
from rekam_runtime.errors import AlreadyExists, FailedPrecondition, Invalid, NotFound, Refused
from rekam_tracking.rules import RUN_NAME_TAG
from rekam_tracking.runs import command
from rekam_tracking.runs.command import RunState

RUN = "0123456789abcdef0123456789abcdef"


@dataclass
class Experiment:
    """A standing that the test moves."""

    experiment_id: str = "1"
    artifact_location: str = "mlflow-artifacts:/1"
    lifecycle: read_pb2.Lifecycle = read_pb2.LIFECYCLE_ACTIVE
    lifecycle_position: int = 0


@dataclass
class Story:
    """A run, its experiment and one log's positions."""

    state: RunState = field(default_factory=RunState)
    experiment: Experiment = field(default_factory=Experiment)
    position: int = 0

    def take(self, event: Message | None, origin: Origin | None = None) -> bool:
        if event is None:
            return False
        self.position += 1
        self.state.apply(event, Envelope(origin=origin), self.position)
        return True

    def move_experiment(self, lifecycle: read_pb2.Lifecycle) -> None:
        self.position += 1
        self.experiment.lifecycle = lifecycle
        self.experiment.lifecycle_position = self.position

    def create(
        self, *, name: str = "n", tags: dict[str, str] | None = None, origin: Origin | None = None
    ) -> bool:
        event = command.create(
            self.state,
            run_id=RUN,
            experiment_id="1",
            experiment=self.experiment,
            name=name,
            user="u",
            start_ms=1,
            tags=tags or {},
            params={},
            origin=origin,
        )
        return self.take(event, origin)

    def params(self, params: dict[str, str], origin: Origin | None = None) -> bool:
        return self.take(command.log_params(self.state, self.experiment, params, origin), origin)

    def tags(self, tags: dict[str, str], origin: Origin | None = None) -> bool:
        return self.take(command.set_tags(self.state, self.experiment, tags, origin), origin)

    def drop_tags(self, keys: list[str], origin: Origin | None = None) -> bool:
        return self.take(command.delete_tags(self.state, self.experiment, keys, origin), origin)

    def update(
        self,
        *,
        status: run_pb2.RunStatus | None = None,
        end_ms: int | None = None,
        name: str | None = None,
        origin: Origin | None = None,
    ) -> bool:
        event = command.update(
            self.state, self.experiment, status=status, end_ms=end_ms, name=name, origin=origin
        )
        return self.take(event, origin)

    def crash(self, heard_ms: int = 9) -> bool:
        return self.take(command.crash(self.state, heard_ms=heard_ms))

    def revive(self) -> bool:
        return self.take(command.revive(self.state))

    def delete(self) -> bool:
        return self.take(command.delete(self.state, self.experiment, now_ms=5))

    def restore(self) -> bool:
        return self.take(command.restore(self.state, self.experiment))

    def deleted(self) -> bool:
        return self.state.lifecycle_in(self.experiment) == read_pb2.LIFECYCLE_DELETED


def created(**how: object) -> Story:
    story = Story()
    story.create(**how)  # type: ignore[arg-type]
    return story


def test_a_run_starts_running_with_its_name_as_a_tag() -> None:
    state = created(name="fox").state
    assert (state.name, state.tags, state.status) == (
        "fox",
        {RUN_NAME_TAG: "fox"},
        run_pb2.RUN_STATUS_RUNNING,
    )
    assert state.artifact_uri == f"mlflow-artifacts:/1/{RUN}/artifacts"


def test_a_run_that_crashed_comes_back_without_an_end() -> None:
    story = created()
    assert story.crash(heard_ms=9)
    assert (story.state.status, story.state.end_ms) == (run_pb2.RUN_STATUS_CRASHED, 9)
    assert not story.crash(heard_ms=10)
    assert story.revive()
    assert (story.state.status, story.state.end_ms) == (run_pb2.RUN_STATUS_RUNNING, 0)
    assert not story.revive()


@pytest.mark.parametrize(
    "ended", [run_pb2.RUN_STATUS_FINISHED, run_pb2.RUN_STATUS_FAILED, run_pb2.RUN_STATUS_KILLED]
)
def test_a_run_that_has_ended_neither_crashes_nor_comes_back(ended: run_pb2.RunStatus) -> None:
    story = created()
    story.update(status=ended, end_ms=5)
    assert not story.crash()
    assert not story.revive()
    assert (story.state.status, story.state.end_ms) == (ended, 5)


def test_a_run_that_crashed_may_be_ended_or_resumed_by_its_client() -> None:
    story = created()
    story.crash()
    assert story.update(status=run_pb2.RUN_STATUS_RUNNING, origin=Origin(writer="w", sequence=1))
    assert (story.state.status, story.state.end_ms) == (run_pb2.RUN_STATUS_RUNNING, 0)
    story.crash()
    assert story.update(status=run_pb2.RUN_STATUS_FINISHED, end_ms=12)
    assert (story.state.status, story.state.end_ms) == (run_pb2.RUN_STATUS_FINISHED, 12)


def test_the_artifact_path_goes_before_a_query() -> None:
    story = Story(experiment=Experiment(artifact_location="s3://b/p/?x=1"))
    story.create()
    assert story.state.artifact_uri == f"s3://b/p/{RUN}/artifacts?x=1"


def test_a_name_is_chosen_by_argument_tag_or_generator() -> None:
    assert command.choose_name("a", {}, "g") == "a"
    assert command.choose_name("", {RUN_NAME_TAG: "t"}, "g") == "t"
    assert command.choose_name("a", {RUN_NAME_TAG: "a"}, "g") == "a"
    assert command.choose_name("", {RUN_NAME_TAG: ""}, "g") == "g"
    with pytest.raises(Invalid, match="different values") as refusal:
        command.choose_name("a", {RUN_NAME_TAG: "b"}, "g")
    assert refusal.value.field == "name"


def test_a_run_id_is_created_again_by_its_writer_only() -> None:
    origin = Origin(writer="w", sequence=1)
    story = created(origin=origin)
    assert not story.create(origin=origin)
    for other in (None, Origin(writer="v", sequence=1)):
        with pytest.raises(AlreadyExists) as refusal:
            story.create(origin=other)
        assert refusal.value.field == "run_id"
    story.move_experiment(read_pb2.LIFECYCLE_DELETED)
    assert not story.create(origin=origin)


def test_no_run_in_a_missing_or_deleted_experiment() -> None:
    story = Story()
    story.move_experiment(read_pb2.LIFECYCLE_DELETED)
    with pytest.raises(FailedPrecondition, match="Current state is deleted"):
        story.create()
    with pytest.raises(NotFound):
        command.create(
            RunState(),
            run_id=RUN,
            experiment_id="1",
            experiment=None,
            name="n",
            user="",
            start_ms=0,
            tags={},
            params={},
            origin=None,
        )


def test_a_param_is_written_once() -> None:
    story = created()
    assert story.params({"k": "a", "l": "1"})
    assert not story.params({"k": "a"})
    with pytest.raises(Invalid) as refusal:
        story.params({"new": "1", "k": "b"})
    assert refusal.value.message == (
        "Changing param values is not allowed. Param with key='k' was already logged with value='a' "
        f"for run ID='{RUN}'. Attempted logging new value 'b'."
    )
    assert story.state.params == {"k": "a", "l": "1"}


def test_name_and_tag_follow_each_other() -> None:
    story = created()
    story.update(name="a")
    assert story.state.tags[RUN_NAME_TAG] == "a"
    story.tags({RUN_NAME_TAG: "b"})
    assert story.state.name == "b"
    assert not story.update(name="")
    story.drop_tags([RUN_NAME_TAG])
    assert (story.state.name, RUN_NAME_TAG in story.state.tags) == ("b", False)
    assert story.update(name="b")
    assert story.state.tags[RUN_NAME_TAG] == "b"


def test_status_and_end_move_freely_and_nothing_else_changes() -> None:
    story = created()
    assert not story.update()
    story.update(status=run_pb2.RUN_STATUS_FINISHED, end_ms=9)
    story.update(status=run_pb2.RUN_STATUS_RUNNING)
    assert (story.state.status, story.state.end_ms, story.state.name) == (run_pb2.RUN_STATUS_RUNNING, 9, "n")
    assert not story.update(status=run_pb2.RUN_STATUS_RUNNING, end_ms=9)


def test_a_tag_that_is_not_set_cannot_be_deleted() -> None:
    story = created(tags={"a": "1"})
    with pytest.raises(NotFound) as refusal:
        story.drop_tags(["a", "b"])
    assert refusal.value.field == "keys[1]"
    assert "a" in story.state.tags


def test_every_write_to_a_deleted_run_is_refused() -> None:
    story = created(tags={"a": "1"})
    assert story.delete()
    assert not story.delete()
    writes: list[Callable[[], bool]] = [
        lambda: story.params({"k": "v"}),
        lambda: story.tags({"k": "v"}),
        lambda: story.drop_tags(["a"]),
        lambda: story.update(end_ms=1),
    ]
    for write in writes:
        with pytest.raises(FailedPrecondition, match="must be in the 'active' state"):
            write()
    assert story.restore()
    assert not story.restore()
    assert all(write() for write in writes)


def test_the_later_of_run_and_experiment_decides_the_lifecycle() -> None:
    story = created()
    story.move_experiment(read_pb2.LIFECYCLE_DELETED)
    assert story.deleted()
    story.restore()
    assert not story.deleted()
    story.delete()
    story.move_experiment(read_pb2.LIFECYCLE_ACTIVE)
    assert not story.deleted()


def test_a_record_delivered_again_changes_nothing_however_late() -> None:
    story = created(origin=Origin(writer="w", sequence=1))
    second = Origin(writer="w", sequence=2)
    assert story.tags({"a": "1"}, second)
    story.tags({"a": "2"})
    assert not story.tags({"a": "1"}, second)
    # Also one that changed nothing when it came first.
    third = Origin(writer="w", sequence=3)
    assert story.tags({"a": "2"}, third)
    story.tags({"a": "9"})
    story.tags({"a": "2"}, third)
    assert story.state.tags["a"] == "9"
    assert story.drop_tags(["a"], Origin(writer="w", sequence=4))
    assert not story.drop_tags(["a"], Origin(writer="w", sequence=4))
    # Another writer's records are counted apart.
    assert story.tags({"a": "3"}, Origin(writer="v", sequence=1))
    story.delete()
    assert not story.update(end_ms=3, origin=second)


@dataclass
class Model:
    """What a run must be after any story, written as simply as it can be said."""

    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=lambda: {RUN_NAME_TAG: "n"})
    name: str = "n"
    deleted: bool = False

    def refuses(self, step: Step) -> bool:
        kind, arguments = step
        if kind in ("delete", "restore", "delete experiment", "restore experiment"):
            return False
        if self.deleted:
            return True
        if kind == "params":
            return any(self.params.get(key, value) != value for key, value in arguments.items())
        return kind == "drop tags" and any(key not in self.tags for key in arguments)

    def do(self, step: Step) -> None:
        kind, arguments = step
        match kind:
            case "params":
                self.params.update(arguments)
            case "tags":
                self.tags.update(arguments)
                self.name = arguments.get(RUN_NAME_TAG, self.name)
            case "drop tags":
                for key in arguments:
                    self.tags.pop(key, None)
            case "rename":
                (self.name,) = arguments
                self.tags[RUN_NAME_TAG] = self.name
            case "delete" | "delete experiment":
                self.deleted = True
            case "restore" | "restore experiment":
                self.deleted = False


Step = tuple[str, dict[str, str]]
KEYS = st.sampled_from(["a", "b", RUN_NAME_TAG])
ENTRIES = st.dictionaries(KEYS, st.sampled_from(["1", "2"]), max_size=3)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["params", "tags", "drop tags"]), ENTRIES),
        st.tuples(
            st.just("rename"), st.dictionaries(st.sampled_from("xy"), st.just(""), min_size=1, max_size=1)
        ),
        st.tuples(
            st.sampled_from(["delete", "restore", "delete experiment", "restore experiment"]), st.just({})
        ),
    ),
    max_size=25,
)


def perform(story: Story, step: Step, origin: Origin | None) -> None:
    kind, arguments = step
    match kind:
        case "params":
            story.params(arguments, origin)
        case "tags":
            story.tags(arguments, origin)
        case "drop tags":
            story.drop_tags(list(arguments), origin)
        case "rename":
            story.update(name=next(iter(arguments)), origin=origin)
        case "delete":
            story.delete()
        case "restore":
            story.restore()
        case "delete experiment":
            story.move_experiment(read_pb2.LIFECYCLE_DELETED)
        case _:
            story.move_experiment(read_pb2.LIFECYCLE_ACTIVE)


@settings(max_examples=200, deadline=None)
@given(steps=STEPS, with_origin=st.booleans())
def test_any_story_ends_as_the_model_says(steps: list[Step], with_origin: bool) -> None:
    story, model = created(), Model()
    for number, step in enumerate(steps, start=1):
        origin = Origin(writer="w", sequence=number) if with_origin else None
        refused = False
        try:
            perform(story, step, origin)
        except Refused:
            refused = True
        assert refused == model.refuses(step)
        if not refused:
            model.do(step)
        seen = Model(story.state.params, story.state.tags, story.state.name, story.deleted())
        assert seen == model


def dataset(name: str, digest: str = "1", **fields: str) -> dataset_pb2.DatasetInput:
    return dataset_pb2.DatasetInput(
        dataset=dataset_pb2.Dataset(name=name, digest=digest, **fields),
        tags=[read_pb2.Tag(key="mlflow.data.context", value="training")],
    )


def test_an_input_that_the_run_has_adds_nothing() -> None:
    story = created()
    first, model = dataset("a", source="first"), run_pb2.ModelInput(model_id="m-1")
    event = command.log_inputs(
        story.state, story.experiment, [first, dataset("a", source="second")], [model, model], None
    )
    assert event == run_pb2.InputsLogged(run_id=RUN, experiment_id="1", datasets=[first], models=[model])
    story.take(event)
    assert command.log_inputs(story.state, story.experiment, [dataset("a")], [model], None) is None
    other = dataset("a", digest="2")
    event = command.log_inputs(story.state, story.experiment, [first, other], [], None)
    assert event is not None
    assert list(event.datasets) == [other]


def test_an_output_that_the_run_has_adds_nothing() -> None:
    story = created()
    models = [run_pb2.ModelOutput(model_id="m-1", step=step) for step in (3, 4)]
    event = command.log_outputs(story.state, story.experiment, models, None)
    assert event == run_pb2.OutputsLogged(run_id=RUN, models=models[:1])
    story.take(event)
    assert command.log_outputs(story.state, story.experiment, models, None) is None


def test_a_deleted_run_takes_no_inputs_and_outputs() -> None:
    story = created()
    story.delete()
    with pytest.raises(FailedPrecondition):
        command.log_inputs(story.state, story.experiment, [dataset("a")], [], None)
    with pytest.raises(FailedPrecondition):
        command.log_outputs(story.state, story.experiment, [run_pb2.ModelOutput(model_id="m")], None)


def test_models_are_recorded_in_a_tag() -> None:
    story = Story()
    story.create()
    for model in ({"artifact_path": "a"}, {"artifact_path": "b"}):
        assert story.take(command.record_model(story.state, story.experiment, model, None))
    assert story.state.tags[command.HISTORY_TAG] == '[{"artifact_path": "a"}, {"artifact_path": "b"}]'
    with pytest.raises(Invalid, match="at most 8000 characters"):
        command.record_model(story.state, story.experiment, {"flavors": "x" * 8_000}, None)
    for broken in ("{}", '"a"', "1", "[", "[" * 8_000):
        story.tags({command.HISTORY_TAG: broken})
        with pytest.raises(FailedPrecondition, match="no list in JSON"):
            command.record_model(story.state, story.experiment, {}, None)
