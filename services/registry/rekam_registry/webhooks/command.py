"""Commands on webhooks: state and request in, event or refusal out. Pure."""

from __future__ import annotations

from rekam_proto.registry.v1 import webhook_pb2
from rekam_registry.webhooks import rules
from rekam_registry.webhooks.state import WebhookState


def update(
    state: WebhookState,
    request: webhook_pb2.UpdateWebhookRequest,
    events: list[webhook_pb2.WebhookEvent],
    sealed_secret: bytes,
) -> webhook_pb2.WebhookUpdated | None:
    """events: empty: as they are. sealed_secret: counts when the request has a secret."""
    now = _there(state, request.webhook_id)
    event = webhook_pb2.WebhookUpdated(
        webhook_id=now.webhook_id,
        name=request.name if request.HasField("name") else now.name,
        url=request.url if request.HasField("url") else now.url,
        description=request.description if request.HasField("description") else now.description,
        events=events or now.events,
        status=request.status or now.status,
        sealed_secret=sealed_secret if request.HasField("secret") else state.sealed_secret,
    )
    before = webhook_pb2.WebhookUpdated(
        webhook_id=now.webhook_id,
        name=now.name,
        url=now.url,
        description=now.description,
        events=now.events,
        status=now.status,
        sealed_secret=state.sealed_secret,
    )
    return None if event == before else event


def delete(state: WebhookState, webhook_id: str) -> webhook_pb2.WebhookDeleted:
    return webhook_pb2.WebhookDeleted(webhook_id=_there(state, webhook_id).webhook_id)


def _there(state: WebhookState, webhook_id: str) -> webhook_pb2.Webhook:
    if state.deleted or not state.webhook.webhook_id:
        raise rules.missing(webhook_id)
    return state.webhook
