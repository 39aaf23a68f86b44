"""The events of the registry: the one list of what its stream may hold."""

from __future__ import annotations

import hashlib

from google.protobuf.message import Message

from rekam_proto.event.v1.envelope_pb2 import Envelope
from rekam_proto.registry.v1 import (
    alias_pb2,
    history_pb2,
    model_pb2,
    transition_pb2,
    version_pb2,
    webhook_pb2,
)
from rekam_runtime.eventlog.envelope import registry_of, unwrap
from rekam_runtime.eventlog.port import Record, StreamSpec

SERVICE = "registry"
STREAM = "REKAM_REGISTRY"

# They say who has a name; the models' own events say what it means.
NameEvent = model_pb2.NameTaken | model_pb2.NameFreed

# Of no model; only webhooks themselves follow from them.
WebhookChange = webhook_pb2.WebhookCreated | webhook_pb2.WebhookUpdated | webhook_pb2.WebhookDeleted

ModelEvent = (
    model_pb2.ModelCreated
    | model_pb2.ModelRenamed
    | model_pb2.ModelUpdated
    | model_pb2.ModelDeleted
    | model_pb2.ModelTagsSet
    | model_pb2.ModelTagsDeleted
    | model_pb2.ModelProtected
    | version_pb2.VersionCreated
    | version_pb2.VersionUpdated
    | version_pb2.VersionDeleted
    | version_pb2.VersionTransitioned
    | version_pb2.VersionTagsSet
    | version_pb2.VersionTagsDeleted
    | alias_pb2.AliasSet
    | alias_pb2.AliasDeleted
    | transition_pb2.TransitionRequested
    | transition_pb2.TransitionRejected
)

# Field of Change by the event's type.
_CHANGES: dict[type[Message], str] = {
    model_pb2.ModelCreated: "model_created",
    model_pb2.ModelRenamed: "model_renamed",
    model_pb2.ModelUpdated: "model_updated",
    model_pb2.ModelDeleted: "model_deleted",
    model_pb2.ModelTagsSet: "model_tags_set",
    model_pb2.ModelTagsDeleted: "model_tags_deleted",
    model_pb2.ModelProtected: "model_protected",
    version_pb2.VersionCreated: "version_created",
    version_pb2.VersionUpdated: "version_updated",
    version_pb2.VersionDeleted: "version_deleted",
    version_pb2.VersionTransitioned: "version_transitioned",
    version_pb2.VersionTagsSet: "version_tags_set",
    version_pb2.VersionTagsDeleted: "version_tags_deleted",
    alias_pb2.AliasSet: "alias_set",
    alias_pb2.AliasDeleted: "alias_deleted",
    transition_pb2.TransitionRequested: "transition_requested",
    transition_pb2.TransitionRejected: "transition_rejected",
}

_EVENTS = registry_of(
    model_pb2.NameTaken,
    model_pb2.NameFreed,
    webhook_pb2.WebhookCreated,
    webhook_pb2.WebhookUpdated,
    webhook_pb2.WebhookDeleted,
    *_CHANGES,
)


def control_stream(replicas: int = 1) -> StreamSpec:
    """The stream of the registry's events; kept for ever."""
    return StreamSpec(STREAM, ("rekam.registry.>",), replicas)


def model_subject(model_id: str) -> str:
    return f"rekam.registry.model.{model_id}"


def webhook_subject(webhook_id: str) -> str:
    return f"rekam.registry.webhook.{webhook_id}"


def name_subject(name: str) -> str:
    """A subject takes no text as users write it."""
    return f"rekam.registry.name.{hashlib.sha256(name.encode()).hexdigest()[:40]}"


def decode(record: Record) -> tuple[Envelope, Message]:
    """A record's envelope and event; raises Quarantine when this version cannot read it."""
    return unwrap(record, _EVENTS)


def change_of(position: int, envelope: Envelope, event: ModelEvent) -> history_pb2.Change:
    """A model's event as it is told."""
    change = history_pb2.Change(
        position=position,
        time_us=envelope.time_us,
        actor=envelope.actor,
        reason=envelope.reason,
        model_id=event.model_id,
        name=event.name,
    )
    getattr(change, _CHANGES[type(event)]).CopyFrom(event)
    return change
