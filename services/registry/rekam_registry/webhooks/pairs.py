"""What a webhook can be told: pairs of an entity and an action, and how requests to receivers write them."""

from __future__ import annotations

from rekam_proto.registry.v1 import webhook_pb2

Entity = webhook_pb2.WebhookEntity
Action = webhook_pb2.WebhookAction
Pair = tuple[webhook_pb2.WebhookEntity, webhook_pb2.WebhookAction]

_SET_AND_DELETED = (webhook_pb2.WEBHOOK_ACTION_SET, webhook_pb2.WEBHOOK_ACTION_DELETED)
_CREATED_AND_DELETED = (webhook_pb2.WEBHOOK_ACTION_CREATED, webhook_pb2.WEBHOOK_ACTION_DELETED)

ACTIONS: dict[webhook_pb2.WebhookEntity, tuple[webhook_pb2.WebhookAction, ...]] = {
    webhook_pb2.WEBHOOK_ENTITY_REGISTERED_MODEL: (webhook_pb2.WEBHOOK_ACTION_CREATED,),
    webhook_pb2.WEBHOOK_ENTITY_MODEL_VERSION: (webhook_pb2.WEBHOOK_ACTION_CREATED,),
    webhook_pb2.WEBHOOK_ENTITY_MODEL_VERSION_TAG: _SET_AND_DELETED,
    webhook_pb2.WEBHOOK_ENTITY_MODEL_VERSION_ALIAS: _CREATED_AND_DELETED,
    webhook_pb2.WEBHOOK_ENTITY_PROMPT: (webhook_pb2.WEBHOOK_ACTION_CREATED,),
    webhook_pb2.WEBHOOK_ENTITY_PROMPT_VERSION: (webhook_pb2.WEBHOOK_ACTION_CREATED,),
    webhook_pb2.WEBHOOK_ENTITY_PROMPT_TAG: _SET_AND_DELETED,
    webhook_pb2.WEBHOOK_ENTITY_PROMPT_VERSION_TAG: _SET_AND_DELETED,
    webhook_pb2.WEBHOOK_ENTITY_PROMPT_ALIAS: _CREATED_AND_DELETED,
    webhook_pb2.WEBHOOK_ENTITY_BUDGET_POLICY: (webhook_pb2.WEBHOOK_ACTION_EXCEEDED,),
    webhook_pb2.WEBHOOK_ENTITY_MODEL_VERSION_STAGE: (webhook_pb2.WEBHOOK_ACTION_TRANSITIONED,),
    webhook_pb2.WEBHOOK_ENTITY_TRANSITION_REQUEST: (
        webhook_pb2.WEBHOOK_ACTION_CREATED,
        webhook_pb2.WEBHOOK_ACTION_APPROVED,
        webhook_pb2.WEBHOOK_ACTION_REJECTED,
    ),
}


def entity_name(entity: int) -> str:
    """As receivers are told it: "model_version"."""
    if entity not in Entity.values():
        return str(entity)
    return Entity.Name(entity).removeprefix("WEBHOOK_ENTITY_").lower()


def action_name(action: int) -> str:
    if action not in Action.values():
        return str(action)
    return Action.Name(action).removeprefix("WEBHOOK_ACTION_").lower()


def pair_of(event: webhook_pb2.WebhookEvent) -> Pair:
    return event.entity, event.action
