"""What an event of the log means to webhooks. Pure.

MLflow's pairs have the data that MLflow sends; Rekam's own also say who did it and why.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from rekam_proto.registry.v1 import (
    alias_pb2,
    history_pb2,
    model_pb2,
    read_pb2,
    transition_pb2,
    version_pb2,
    webhook_pb2,
)
from rekam_proto.tracking.v1.read_pb2 import Tag
from rekam_registry.rules import PROMPT_TAG, STAGE_NAMES
from rekam_registry.webhooks.pairs import Pair

_PROMPT_TEXT_TAG = "mlflow.prompt.text"
# They say what a prompt is, not what its user says of it.
_PROMPT_OWN_TAGS = frozenset({PROMPT_TAG, "_mlflow_prompt_type"})

_CREATED, _SET, _DELETED = (
    webhook_pb2.WEBHOOK_ACTION_CREATED,
    webhook_pb2.WEBHOOK_ACTION_SET,
    webhook_pb2.WEBHOOK_ACTION_DELETED,
)
_APPROVED, _REJECTED = webhook_pb2.WEBHOOK_ACTION_APPROVED, webhook_pb2.WEBHOOK_ACTION_REJECTED
_REQUEST = webhook_pb2.WEBHOOK_ENTITY_TRANSITION_REQUEST
_STAGE = webhook_pb2.WEBHOOK_ENTITY_MODEL_VERSION_STAGE


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One thing to tell."""

    pair: Pair
    data: dict[str, Any]


def occurrences_of(change: history_pb2.Change, *, is_prompt: bool) -> list[Occurrence]:
    """In the order in which they are told. is_prompt: whether its model is a prompt after it."""
    return [Occurrence(pair, data) for pair, data in _told(change, is_prompt)]


def _told(change: history_pb2.Change, is_prompt: bool) -> Iterator[tuple[Pair, dict[str, Any]]]:
    event = getattr(change, str(change.WhichOneof("event")), None)
    match event:
        case model_pb2.ModelCreated():
            yield _model_created(event)
        case model_pb2.ModelTagsSet() if is_prompt:
            for tag in event.tags:
                data = {"name": event.name, "key": tag.key, "value": tag.value}
                yield (webhook_pb2.WEBHOOK_ENTITY_PROMPT_TAG, _SET), data
        case model_pb2.ModelTagsDeleted() if is_prompt:
            for key in event.keys:
                yield (webhook_pb2.WEBHOOK_ENTITY_PROMPT_TAG, _DELETED), {"name": event.name, "key": key}
        case version_pb2.VersionCreated():
            yield _version_created(event, is_prompt)
        case version_pb2.VersionTagsSet():
            for tag in event.tags:
                data = {**_version(event), "key": tag.key, "value": tag.value}
                yield (_version_tag(is_prompt), _SET), data
        case version_pb2.VersionTagsDeleted():
            for key in event.keys:
                yield (_version_tag(is_prompt), _DELETED), {**_version(event), "key": key}
        case version_pb2.VersionTransitioned():
            yield from _transitioned(event, change)
        case version_pb2.VersionDeleted():
            for alias in event.aliases:
                yield (_alias(is_prompt), _DELETED), {"name": event.name, "alias": alias}
        case alias_pb2.AliasSet():
            data = {"name": event.name, "alias": event.alias, "version": str(event.version)}
            yield (_alias(is_prompt), _CREATED), data
            if event.request_id:
                yield _approved(event, change, {"alias": event.alias})
        case alias_pb2.AliasDeleted():
            yield (_alias(is_prompt), _DELETED), {"name": event.name, "alias": event.alias}
        case transition_pb2.TransitionRequested():
            to = {"alias": event.alias} if event.WhichOneof("to") == "alias" else _to_stage(event.stage)
            yield (_REQUEST, _CREATED), {**_request(event), **to, **_why(change)}
        case transition_pb2.TransitionRejected():
            yield (_REQUEST, _REJECTED), {**_request(event), **_why(change)}
        case _:
            pass


def _model_created(event: model_pb2.ModelCreated) -> tuple[Pair, dict[str, Any]]:
    tags = _tags(event.tags)
    entity = webhook_pb2.WEBHOOK_ENTITY_REGISTERED_MODEL
    if tags.get(PROMPT_TAG, "").lower() == "true":
        entity, tags = webhook_pb2.WEBHOOK_ENTITY_PROMPT, _said_of_prompt(tags)
    return (entity, _CREATED), {"name": event.name, "tags": tags, "description": event.description}


def _version_created(event: version_pb2.VersionCreated, is_prompt: bool) -> tuple[Pair, dict[str, Any]]:
    tags = _tags(event.tags)
    if is_prompt or tags.get(PROMPT_TAG, "").lower() == "true":
        template = tags.pop(_PROMPT_TEXT_TAG, None)
        data = {
            **_version(event),
            "template": template,
            "tags": _said_of_prompt(tags),
            "description": event.description or None,
        }
        return (webhook_pb2.WEBHOOK_ENTITY_PROMPT_VERSION, _CREATED), data
    data = {
        **_version(event),
        "source": event.source,
        "run_id": event.run_id or None,
        "tags": tags,
        "description": event.description or None,
    }
    return (webhook_pb2.WEBHOOK_ENTITY_MODEL_VERSION, _CREATED), data


def _transitioned(
    event: version_pb2.VersionTransitioned, change: history_pb2.Change
) -> Iterator[tuple[Pair, dict[str, Any]]]:
    """The version that moved, then those that made room."""
    moved = [(event.version, event.previous_stage, event.stage)]
    moved += [(version, event.stage, read_pb2.STAGE_ARCHIVED) for version in event.archived]
    for version, before, after in moved:
        if before != after:
            data = {"name": event.name, "version": str(version), "previous_stage": STAGE_NAMES[before]}
            transitioned = webhook_pb2.WEBHOOK_ACTION_TRANSITIONED
            yield (_STAGE, transitioned), {**data, **_to_stage(after), **_why(change)}
    if event.request_id:
        yield _approved(event, change, _to_stage(event.stage))


def _approved(
    event: version_pb2.VersionTransitioned | alias_pb2.AliasSet,
    change: history_pb2.Change,
    to: dict[str, str],
) -> tuple[Pair, dict[str, Any]]:
    return (_REQUEST, _APPROVED), {**_request(event), **to, **_why(change)}


def _version(
    event: version_pb2.VersionCreated | version_pb2.VersionTagsSet | version_pb2.VersionTagsDeleted,
) -> dict[str, Any]:
    return {"name": event.name, "version": str(event.version)}


def _request(
    event: (
        transition_pb2.TransitionRequested
        | transition_pb2.TransitionRejected
        | version_pb2.VersionTransitioned
        | alias_pb2.AliasSet
    ),
) -> dict[str, Any]:
    return {"name": event.name, "request_id": event.request_id, "version": str(event.version)}


def _to_stage(stage: read_pb2.Stage) -> dict[str, str]:
    return {"stage": STAGE_NAMES[stage]}


def _why(change: history_pb2.Change) -> dict[str, str]:
    return {"actor": change.actor, "reason": change.reason}


def _tags(tags: Iterable[Tag]) -> dict[str, str]:
    return {tag.key: tag.value for tag in tags}


def _said_of_prompt(tags: dict[str, str]) -> dict[str, str]:
    return {key: value for key, value in tags.items() if key not in _PROMPT_OWN_TAGS}


def _version_tag(is_prompt: bool) -> webhook_pb2.WebhookEntity:
    if is_prompt:
        return webhook_pb2.WEBHOOK_ENTITY_PROMPT_VERSION_TAG
    return webhook_pb2.WEBHOOK_ENTITY_MODEL_VERSION_TAG


def _alias(is_prompt: bool) -> webhook_pb2.WebhookEntity:
    return (
        webhook_pb2.WEBHOOK_ENTITY_PROMPT_ALIAS
        if is_prompt
        else webhook_pb2.WEBHOOK_ENTITY_MODEL_VERSION_ALIAS
    )
