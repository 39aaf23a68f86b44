"""From the registry's messages to the SDK's entities and back."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from google.protobuf.message import Message

from rekam.errors import Invalid
from rekam.registered import (
    AsOf,
    ModelChange,
    ModelStage,
    ModelTransition,
    ModelVersion,
    Protection,
    RegisteredModel,
    TransitionState,
    VersionReference,
)
from rekam_proto.registry.v1 import history_pb2, model_pb2, read_pb2, transition_pb2, version_pb2

_STAGES: dict[read_pb2.Stage, str] = {
    read_pb2.STAGE_NONE: ModelStage.NONE,
    read_pb2.STAGE_STAGING: ModelStage.STAGING,
    read_pb2.STAGE_PRODUCTION: ModelStage.PRODUCTION,
    read_pb2.STAGE_ARCHIVED: ModelStage.ARCHIVED,
}
_STAGES_BY_NAME = {name.lower(): stage for stage, name in _STAGES.items()}
_STATE_PREFIX = "TRANSITION_STATE_"
_STATES = {
    TransitionState.PENDING: transition_pb2.TRANSITION_STATE_PENDING,
    TransitionState.APPROVED: transition_pb2.TRANSITION_STATE_APPROVED,
    TransitionState.REJECTED: transition_pb2.TRANSITION_STATE_REJECTED,
    TransitionState.VOID: transition_pb2.TRANSITION_STATE_VOID,
}


def stage_of(stage: str, field: str = "stage") -> read_pb2.Stage:
    """Stage of its name, in any case."""
    if stage.lower() not in _STAGES_BY_NAME:
        raise Invalid(f"a stage is one of {', '.join(_STAGES.values())}, got {stage!r}", field=field)
    return _STAGES_BY_NAME[stage.lower()]


def stage_name(stage: read_pb2.Stage) -> str:
    """Name of a stage."""
    return _STAGES.get(stage, "")


def version_of(version: int | str, field: str = "version") -> int:
    """A version's number, also written as text."""
    text = str(version)
    if not (text.isascii() and text.isdigit()) or len(text) > 18 or not int(text):
        raise Invalid(f"a version is a number from 1, got {version!r}", field=field)
    return int(text)


def state_of(state: str | None) -> transition_pb2.TransitionState:
    """State of its name; of all states if None."""
    if state is None:
        return transition_pb2.TRANSITION_STATE_UNSPECIFIED
    if state not in _STATES:
        raise Invalid(f"a state is one of {', '.join(_STATES)}, got {state!r}", field="state")
    return _STATES[state]


def moment_of(as_of: AsOf | None) -> read_pb2.AsOf | None:
    """A moment as a message."""
    if as_of is None:
        return None
    if isinstance(as_of, datetime):
        if as_of.tzinfo is None:
            raise Invalid(f"a time has a zone, got {as_of.isoformat()}", field="as_of")
        return read_pb2.AsOf(time_us=round(as_of.timestamp() * 1e6))
    if as_of < 0:
        raise Invalid(f"a position of the log is not negative, got {as_of}", field="as_of")
    return read_pb2.AsOf(position=as_of)


def protection_message(protection: Protection | None) -> model_pb2.Protection | None:
    """A protection as a message."""
    if protection is None:
        return None
    return model_pb2.Protection(
        stages=[stage_of(stage, f"protection.stages[{i}]") for i, stage in enumerate(protection.stages)],
        aliases=protection.aliases,
        roles=protection.roles,
    )


def registered_model_from(message: model_pb2.RegisteredModel) -> RegisteredModel:
    """RegisteredModel of its message."""
    return RegisteredModel(
        name=message.name,
        registered_model_id=message.model_id,
        description=message.description,
        creation_timestamp=message.created_us // 1_000,
        last_updated_timestamp=message.updated_us // 1_000,
        tags={tag.key: tag.value for tag in message.tags},
        aliases={each.alias: each.version for each in message.aliases},
        latest_versions=tuple(map(model_version_from, message.latest_versions)),
        protection=protection_from(message.protection),
    )


def protection_from(message: model_pb2.Protection) -> Protection:
    """Protection of its message."""
    return Protection(tuple(map(stage_name, message.stages)), tuple(message.aliases), tuple(message.roles))


def model_version_from(message: version_pb2.ModelVersion) -> ModelVersion:
    """ModelVersion of its message."""
    copied = message.copied_from
    return ModelVersion(
        name=message.name,
        version=message.version,
        registered_model_id=message.model_id,
        current_stage=stage_name(message.stage),
        description=message.description,
        source=message.source,
        location=message.location,
        run_id=message.run_id or None,
        run_link=message.run_link or None,
        model_id=message.logged_model_id or None,
        digest=message.digest or None,
        signature=message.signature or None,
        user_id=message.user,
        creation_timestamp=message.created_us // 1_000,
        last_updated_timestamp=message.updated_us // 1_000,
        tags={tag.key: tag.value for tag in message.tags},
        aliases=tuple(message.aliases),
        copied_from=VersionReference(copied.name, copied.version, copied.model_id)
        if message.HasField("copied_from")
        else None,
    )


def transition_from(message: transition_pb2.TransitionRequest) -> ModelTransition:
    """ModelTransition of its message."""
    decided = bool(message.decided_us)
    to = message.WhichOneof("to")
    return ModelTransition(
        request_id=message.request_id,
        name=message.name,
        version=message.version,
        registered_model_id=message.model_id,
        state=transition_pb2.TransitionState.Name(message.state).removeprefix(_STATE_PREFIX),
        stage=stage_name(message.stage) if to == "stage" else None,
        alias=message.alias if to == "alias" else None,
        archive_existing_versions=message.archive_existing,
        requester=message.requester,
        reason=message.reason,
        creation_timestamp=message.requested_us // 1_000,
        decider=message.decider if decided else None,
        decision_reason=message.decision_reason if decided else None,
        decision_timestamp=message.decided_us // 1_000 if decided else None,
    )


def change_from(message: history_pb2.Change) -> ModelChange:
    """ModelChange of its message."""
    event = message.WhichOneof("event")
    return ModelChange(
        position=message.position,
        time_us=message.time_us,
        actor=message.actor,
        reason=message.reason,
        name=message.name,
        registered_model_id=message.model_id,
        # A server that is newer tells of events that this SDK does not know.
        event=event or "",
        details=_details(getattr(message, event)) if event else {},
    )


def _details(message: Message) -> dict[str, Any]:
    """What a message says, without what its change says too."""
    found: dict[str, Any] = {}
    for field, value in message.ListFields():
        if field.name == "model_id" or (field.name == "name" and field.number == 15):
            continue
        if field.name == "tags":
            found[field.name] = {tag.key: tag.value for tag in value}
        elif field.is_repeated:
            found[field.name] = [_detail(field, each) for each in value]
        else:
            found[field.name] = _detail(field, value)
    return found


def _detail(field: Any, value: Any) -> Any:
    if field.message_type is not None:
        return _details(value)
    return stage_name(value) if field.enum_type is not None else value
