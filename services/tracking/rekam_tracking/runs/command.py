"""Commands on runs, their params, tags, inputs and outputs: state and request in, event or refusal out. Pure.

Requests come here with their fields checked (rules.py); what is refused here depends
on the run's state.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass, field
from typing import Any, TypeVar

from google.protobuf.message import Message

from rekam_proto.event.v1 import envelope_pb2
from rekam_proto.tracking.v1 import dataset_pb2, read_pb2, run_pb2
from rekam_runtime.errors import AlreadyExists, FailedPrecondition, Invalid, NotFound
from rekam_tracking.recorded import appended
from rekam_tracking.rules import MAX_RUN_TAG_VALUE, RUN_NAME_TAG, text
from rekam_tracking.sequences import Sequences
from rekam_tracking.standings import Standing, artifact_uri, require_for_creation
from rekam_tracking.write_once import new_params

Origin = envelope_pb2.Origin

# A JSON list of the models that a run made, as MLflow wrote it before version 3.
HISTORY_TAG = "mlflow.log-model.history"

T = TypeVar("T")
K = TypeVar("K")


@dataclass(slots=True)
class RunState:
    """A run as its events add up; run_id is empty while there is none."""

    run_id: str = ""
    experiment_id: str = ""
    name: str = ""
    user: str = ""
    status: run_pb2.RunStatus = run_pb2.RUN_STATUS_UNSPECIFIED
    start_ms: int = 0
    end_ms: int = 0
    artifact_uri: str = ""
    # The run's own last delete or restore; its experiment's may be later.
    lifecycle: read_pb2.Lifecycle = read_pb2.LIFECYCLE_ACTIVE
    lifecycle_position: int = 0
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    # Inputs and outputs that it has: datasets by name and digest, models by id.
    datasets: set[tuple[str, str]] = field(default_factory=set)
    model_inputs: set[str] = field(default_factory=set)
    model_outputs: set[str] = field(default_factory=set)
    # Writer of the record that created the run; empty for a plain request.
    creator: str = ""
    sequences: Sequences = field(default_factory=Sequences)
    weight: int = 1_000

    def apply(self, event: Message, envelope: envelope_pb2.Envelope, position: int) -> None:
        origin = envelope.origin
        self.sequences.note(origin)
        match event:
            case run_pb2.RunCreated():
                self._create(event)
                self.creator = origin.writer
            case run_pb2.RunUpdated():
                if event.HasField("status"):
                    self.status = event.status
                if event.HasField("end_ms"):
                    self.end_ms = event.end_ms
                if event.HasField("name"):
                    self.name = self.tags[RUN_NAME_TAG] = event.name
            case run_pb2.RunDeleted():
                self.lifecycle, self.lifecycle_position = read_pb2.LIFECYCLE_DELETED, position
            case run_pb2.RunRestored():
                self.lifecycle, self.lifecycle_position = read_pb2.LIFECYCLE_ACTIVE, position
            case run_pb2.ParamsLogged():
                self.params.update((param.key, param.value) for param in event.params)
            case run_pb2.TagsSet():
                self.tags.update((tag.key, tag.value) for tag in event.tags)
                if any(tag.key == RUN_NAME_TAG for tag in event.tags):
                    self.name = self.tags[RUN_NAME_TAG]
            case run_pb2.TagsDeleted():
                for key in event.keys:
                    self.tags.pop(key, None)
            case run_pb2.InputsLogged():
                self.datasets.update(map(_identity, event.datasets))
                self.model_inputs.update(model.model_id for model in event.models)
            case run_pb2.OutputsLogged():
                self.model_outputs.update(model.model_id for model in event.models)
            case _:
                return
        # Never taken back: an upper bound will do.
        self.weight += 2 * len(envelope.payload)

    def _create(self, event: run_pb2.RunCreated) -> None:
        self.run_id = event.run_id
        self.experiment_id = event.experiment_id
        self.name = event.name
        self.user = event.user
        self.status = run_pb2.RUN_STATUS_RUNNING
        self.start_ms = event.start_ms
        self.artifact_uri = event.artifact_uri
        self.params = {param.key: param.value for param in event.params}
        self.tags = {tag.key: tag.value for tag in event.tags}

    def lifecycle_in(self, experiment: Standing) -> read_pb2.Lifecycle:
        """The later event counts: the run's own or its experiment's."""
        if experiment.lifecycle_position > self.lifecycle_position:
            return experiment.lifecycle
        return self.lifecycle


def create(
    state: RunState,
    *,
    run_id: str,
    experiment_id: str,
    experiment: Standing | None,
    name: str,
    user: str,
    start_ms: int,
    tags: Mapping[str, str],
    params: Mapping[str, str],
    origin: Origin | None,
) -> run_pb2.RunCreated | None:
    """experiment: None when there is none of this id; name: from `choose_name`.

    Nothing when the origin's writer created this run before.
    """
    if state.run_id:
        if origin is not None and origin.writer == state.creator:
            return None
        raise AlreadyExists(f"Run with id={run_id} already exists", field="run_id")
    experiment = require_for_creation(experiment, experiment_id)
    return run_pb2.RunCreated(
        run_id=run_id,
        experiment_id=experiment.experiment_id,
        name=name,
        user=user,
        start_ms=start_ms,
        artifact_uri=artifact_uri(experiment, run_id),
        tags=_tags({**tags, RUN_NAME_TAG: name}),
        params=_params(params),
    )


def choose_name(name: str, tags: Mapping[str, str], generated: str) -> str:
    """A run's name: as given, or by tag mlflow.runName, or the generated one."""
    tagged = tags.get(RUN_NAME_TAG, "")
    if name and tagged and name != tagged:
        raise Invalid(
            "Both 'run_name' argument and 'mlflow.runName' tag are specified, but with different values "
            f"(run_name='{name}', mlflow.runName='{tagged}').",
            field="name",
        )
    return name or tagged or generated


def update(
    state: RunState,
    experiment: Standing,
    *,
    status: run_pb2.RunStatus | None,
    end_ms: int | None,
    name: str | None,
    origin: Origin | None,
) -> run_pb2.RunUpdated | None:
    if state.sequences.has(origin):
        return None
    require_active(state, experiment)
    if (status, state.status, end_ms) == (run_pb2.RUN_STATUS_RUNNING, run_pb2.RUN_STATUS_CRASHED, None):
        end_ms = 0  # it was the system that said so
    event = run_pb2.RunUpdated(run_id=state.run_id, status=status, end_ms=end_ms, name=name or None)
    if event.WhichOneof("_status") is None and event.WhichOneof("_end_ms") is None and not name:
        return None
    changes = (
        (status is not None and status != state.status)
        or (end_ms is not None and end_ms != state.end_ms)
        or (bool(name) and (name != state.name or name != state.tags.get(RUN_NAME_TAG)))
    )
    # A writer's record is kept even if it changes nothing now: its sequence must be seen,
    # or a late second delivery would undo what others changed since.
    return event if changes or origin is not None else None


def crash(state: RunState, *, heard_ms: int) -> run_pb2.RunUpdated | None:
    """Its writers are silent; nothing when the run is not running, as when it has ended meanwhile.

    heard_ms: when the last of them was heard.
    """
    if state.status != run_pb2.RUN_STATUS_RUNNING:
        return None
    return run_pb2.RunUpdated(
        run_id=state.run_id, status=run_pb2.RUN_STATUS_CRASHED, end_ms=max(heard_ms, state.start_ms)
    )


def revive(state: RunState) -> run_pb2.RunUpdated | None:
    """One of its writers was heard again."""
    if state.status != run_pb2.RUN_STATUS_CRASHED:
        return None
    return run_pb2.RunUpdated(run_id=state.run_id, status=run_pb2.RUN_STATUS_RUNNING, end_ms=0)


def delete(state: RunState, experiment: Standing, *, now_ms: int) -> run_pb2.RunDeleted | None:
    if state.lifecycle_in(experiment) == read_pb2.LIFECYCLE_DELETED:
        return None
    return run_pb2.RunDeleted(run_id=state.run_id, deleted_ms=now_ms)


def restore(state: RunState, experiment: Standing) -> run_pb2.RunRestored | None:
    if state.lifecycle_in(experiment) == read_pb2.LIFECYCLE_ACTIVE:
        return None
    return run_pb2.RunRestored(run_id=state.run_id)


def log_params(
    state: RunState, experiment: Standing, params: Mapping[str, str], origin: Origin | None
) -> run_pb2.ParamsLogged | None:
    if state.sequences.has(origin):
        return None
    require_active(state, experiment)
    new = new_params(state.params, params, f"run ID='{state.run_id}'")
    return run_pb2.ParamsLogged(run_id=state.run_id, params=_params(new)) if new else None


def set_tags(
    state: RunState, experiment: Standing, tags: Mapping[str, str], origin: Origin | None
) -> run_pb2.TagsSet | None:
    if state.sequences.has(origin):
        return None
    require_active(state, experiment)
    if not tags:
        return None
    changes = any(state.tags.get(key) != value for key, value in tags.items())
    if tags.get(RUN_NAME_TAG, state.name) != state.name:
        changes = True  # the tag had been deleted and set apart from the name
    return run_pb2.TagsSet(run_id=state.run_id, tags=_tags(tags)) if changes or origin is not None else None


def delete_tags(
    state: RunState, experiment: Standing, keys: Iterable[str], origin: Origin | None
) -> run_pb2.TagsDeleted | None:
    if state.sequences.has(origin):
        return None
    require_active(state, experiment)
    wanted = list(dict.fromkeys(keys))
    for index, key in enumerate(wanted):
        if key not in state.tags:
            raise NotFound(f"No tag with name: {key} in run with id {state.run_id}", field=f"keys[{index}]")
    return run_pb2.TagsDeleted(run_id=state.run_id, keys=wanted) if wanted else None


def log_inputs(
    state: RunState,
    experiment: Standing,
    datasets: Iterable[dataset_pb2.DatasetInput],
    models: Iterable[run_pb2.ModelInput],
    origin: Origin | None,
) -> run_pb2.InputsLogged | None:
    if state.sequences.has(origin):
        return None
    require_active(state, experiment)
    new_datasets = _new(datasets, _identity, state.datasets)
    new_models = _new(models, lambda model: model.model_id, state.model_inputs)
    if not new_datasets and not new_models:
        return None
    return run_pb2.InputsLogged(
        run_id=state.run_id, experiment_id=state.experiment_id, datasets=new_datasets, models=new_models
    )


def log_outputs(
    state: RunState, experiment: Standing, models: Iterable[run_pb2.ModelOutput], origin: Origin | None
) -> run_pb2.OutputsLogged | None:
    if state.sequences.has(origin):
        return None
    require_active(state, experiment)
    new = _new(models, lambda model: model.model_id, state.model_outputs)
    return run_pb2.OutputsLogged(run_id=state.run_id, models=new) if new else None


def record_model(
    state: RunState, experiment: Standing, model: Mapping[str, Any], origin: Origin | None
) -> run_pb2.TagsSet | None:
    if state.sequences.has(origin):
        return None
    require_active(state, experiment)
    value = appended(state.tags, HISTORY_TAG, model, f"run {state.run_id}")
    text(value, MAX_RUN_TAG_VALUE, "model", f"tag {HISTORY_TAG}")
    return run_pb2.TagsSet(run_id=state.run_id, tags=_tags({HISTORY_TAG: value}))


def require_active(state: RunState, experiment: Standing) -> None:
    if state.lifecycle_in(experiment) == read_pb2.LIFECYCLE_DELETED:
        raise FailedPrecondition(
            f"The run {state.run_id} must be in the 'active' state. Current state is deleted.", field="run_id"
        )


def _identity(input: dataset_pb2.DatasetInput) -> tuple[str, str]:
    return input.dataset.name, input.dataset.digest


def _new(values: Iterable[T], identity: Callable[[T], K], known: Set[K]) -> list[T]:
    """Those that are not known; of several with one identity the first."""
    found: dict[K, T] = {}
    for value in values:
        found.setdefault(identity(value), value)
    return [value for key, value in found.items() if key not in known]


def _tags(tags: Mapping[str, str]) -> list[read_pb2.Tag]:
    return [read_pb2.Tag(key=key, value=value) for key, value in tags.items()]


def _params(params: Mapping[str, str]) -> list[read_pb2.Param]:
    return [read_pb2.Param(key=key, value=value) for key, value in params.items()]
