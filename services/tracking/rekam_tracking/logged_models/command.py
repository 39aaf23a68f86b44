"""Commands on logged models: state and request in, event or refusal out. Pure.

Requests come here with their fields checked (rules.py); what is refused here depends
on the model's state.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from google.protobuf.message import Message

from rekam_proto.event.v1 import envelope_pb2
from rekam_proto.tracking.v1 import logged_model_pb2, read_pb2
from rekam_runtime.errors import AlreadyExists, NotFound
from rekam_tracking.recorded import appended
from rekam_tracking.rules import MAX_MODEL_TEXT, text
from rekam_tracking.sequences import Sequences
from rekam_tracking.standings import Standing, artifact_uri, require_for_creation
from rekam_tracking.write_once import new_params

Origin = envelope_pb2.Origin
# Which versions of registered models were made from it.
VERSIONS_TAG = "mlflow.modelVersions"


@dataclass(slots=True)
class LoggedModelState:
    """A model as its events add up, without its metrics; model_id is empty while there is none."""

    model_id: str = ""
    experiment_id: str = ""
    name: str = ""
    created_ms: int = 0
    updated_ms: int = 0
    artifact_uri: str = ""
    status: logged_model_pb2.LoggedModelStatus = logged_model_pb2.LOGGED_MODEL_STATUS_UNSPECIFIED
    model_type: str = ""
    source_run_id: str = ""
    lifecycle: read_pb2.Lifecycle = read_pb2.LIFECYCLE_ACTIVE
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    # Writer of the record that created the model; empty for a plain request.
    creator: str = ""
    sequences: Sequences = field(default_factory=Sequences)
    weight: int = 1_000

    def apply(self, event: Message, envelope: envelope_pb2.Envelope, position: int) -> None:
        origin = envelope.origin
        self.sequences.note(origin)
        match event:
            case logged_model_pb2.LoggedModelCreated():
                self._create(event)
                self.creator = origin.writer
            case logged_model_pb2.LoggedModelFinalized():
                self.status, self.updated_ms = event.status, event.updated_ms
            case logged_model_pb2.LoggedModelDeleted():
                self.lifecycle, self.updated_ms = read_pb2.LIFECYCLE_DELETED, event.updated_ms
            case logged_model_pb2.LoggedModelTagsSet():
                self.tags.update((tag.key, tag.value) for tag in event.tags)
            case logged_model_pb2.LoggedModelTagsDeleted():
                for key in event.keys:
                    self.tags.pop(key, None)
            case logged_model_pb2.LoggedModelParamsLogged():
                self.params.update((param.key, param.value) for param in event.params)
            case _:
                return
        # Never taken back: an upper bound will do.
        self.weight += 2 * len(envelope.payload)

    def _create(self, event: logged_model_pb2.LoggedModelCreated) -> None:
        self.model_id = event.model_id
        self.experiment_id = event.experiment_id
        self.name = event.name
        self.created_ms = self.updated_ms = event.created_ms
        self.artifact_uri = event.artifact_uri
        self.status = logged_model_pb2.LOGGED_MODEL_STATUS_PENDING
        self.model_type = event.model_type
        self.source_run_id = event.source_run_id
        self.params = {param.key: param.value for param in event.params}
        self.tags = {tag.key: tag.value for tag in event.tags}


def create(
    state: LoggedModelState,
    *,
    model_id: str,
    experiment_id: str,
    experiment: Standing | None,
    name: str,
    model_type: str,
    source_run_id: str,
    tags: Mapping[str, str],
    params: Mapping[str, str],
    now_ms: int,
    origin: Origin | None,
) -> logged_model_pb2.LoggedModelCreated | None:
    """experiment: None when there is none of this id.

    Nothing when the origin's writer created this model before.
    """
    if state.model_id:
        if origin is not None and origin.writer == state.creator:
            return None
        raise AlreadyExists(f"Logged model with ID '{model_id}' already exists", field="model_id")
    experiment = require_for_creation(experiment, experiment_id)
    return logged_model_pb2.LoggedModelCreated(
        model_id=model_id,
        experiment_id=experiment.experiment_id,
        name=name,
        created_ms=now_ms,
        artifact_uri=artifact_uri(experiment, f"models/{model_id}"),
        model_type=model_type,
        source_run_id=source_run_id,
        tags=[read_pb2.Tag(key=key, value=value) for key, value in tags.items()],
        params=[read_pb2.Param(key=key, value=value) for key, value in params.items()],
    )


def finalize(
    state: LoggedModelState,
    status: logged_model_pb2.LoggedModelStatus,
    *,
    now_ms: int,
    origin: Origin | None,
) -> logged_model_pb2.LoggedModelFinalized | None:
    if state.sequences.has(origin) or (status == state.status and origin is None):
        return None
    return logged_model_pb2.LoggedModelFinalized(model_id=state.model_id, status=status, updated_ms=now_ms)


def delete(state: LoggedModelState, *, now_ms: int) -> logged_model_pb2.LoggedModelDeleted | None:
    if state.lifecycle == read_pb2.LIFECYCLE_DELETED:
        return None
    return logged_model_pb2.LoggedModelDeleted(model_id=state.model_id, updated_ms=now_ms)


def set_tags(
    state: LoggedModelState, tags: Mapping[str, str], origin: Origin | None
) -> logged_model_pb2.LoggedModelTagsSet | None:
    if state.sequences.has(origin) or not tags:
        return None
    # A writer's record is kept even if it changes nothing now: its sequence must be seen.
    if origin is None and all(state.tags.get(key) == value for key, value in tags.items()):
        return None
    return logged_model_pb2.LoggedModelTagsSet(
        model_id=state.model_id, tags=[read_pb2.Tag(key=key, value=value) for key, value in tags.items()]
    )


def record_version(
    state: LoggedModelState, name: str, version: int, origin: Origin | None
) -> logged_model_pb2.LoggedModelTagsSet | None:
    if state.sequences.has(origin):
        return None
    item = {"name": name, "version": version}
    value = appended(state.tags, VERSIONS_TAG, item, f"logged model {state.model_id}")
    text(value, MAX_MODEL_TEXT, "name", f"tag {VERSIONS_TAG}")
    return logged_model_pb2.LoggedModelTagsSet(
        model_id=state.model_id, tags=[read_pb2.Tag(key=VERSIONS_TAG, value=value)]
    )


def delete_tags(
    state: LoggedModelState, keys: Iterable[str], origin: Origin | None
) -> logged_model_pb2.LoggedModelTagsDeleted | None:
    if state.sequences.has(origin):
        return None
    wanted = list(dict.fromkeys(keys))
    for index, key in enumerate(wanted):
        if key not in state.tags:
            raise NotFound(
                f"No tag with key {key!r} found for model with ID {state.model_id!r}.", field=f"keys[{index}]"
            )
    return logged_model_pb2.LoggedModelTagsDeleted(model_id=state.model_id, keys=wanted) if wanted else None


def log_params(
    state: LoggedModelState, params: Mapping[str, str], origin: Origin | None
) -> logged_model_pb2.LoggedModelParamsLogged | None:
    if state.sequences.has(origin):
        return None
    new = new_params(state.params, params, f"model ID='{state.model_id}'")
    if not new:
        return None
    return logged_model_pb2.LoggedModelParamsLogged(
        model_id=state.model_id,
        params=[read_pb2.Param(key=key, value=value) for key, value in new.items()],
    )


def log_metrics(
    state: LoggedModelState, metrics: Iterable[logged_model_pb2.LoggedModelMetric], origin: Origin | None
) -> logged_model_pb2.LoggedModelMetricsLogged | None:
    event = logged_model_pb2.LoggedModelMetricsLogged(model_id=state.model_id, metrics=metrics)
    return event if event.metrics and not state.sequences.has(origin) else None


def require(state: LoggedModelState, model_id: str) -> None:
    """There is such a model, and it is not deleted."""
    if not state.model_id or state.lifecycle == read_pb2.LIFECYCLE_DELETED:
        raise not_found(model_id)


def not_found(model_id: str) -> NotFound:
    return NotFound(f"Logged model with ID '{model_id[:80]}' not found.", field="model_id")
