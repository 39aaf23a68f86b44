"""Webhooks as the registry has them: typed, frozen. Times are milliseconds since the epoch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rekam.errors import Invalid
from rekam_proto.registry.v1 import webhook_pb2

_ENTITY, _ACTION = "WEBHOOK_ENTITY_", "WEBHOOK_ACTION_"


class WebhookStatus:
    """Whether a webhook is told anything, as text."""

    ACTIVE = "ACTIVE"
    DISABLED = "DISABLED"


class DeliveryState:
    """What has become of a delivery, as text; one that was made is gone."""

    WAITING = "WAITING"
    DEAD = "DEAD"


@dataclass(frozen=True, slots=True)
class Webhook:
    """Who is told of what. events: "model_version.created", ... has_secret: what is sent is signed."""

    webhook_id: str
    name: str
    url: str
    events: tuple[str, ...]
    description: str = ""
    status: str = WebhookStatus.ACTIVE
    has_secret: bool = False
    creation_timestamp: int = 0
    last_updated_timestamp: int = 0


@dataclass(frozen=True, slots=True)
class WebhookTestResult:
    """What came of an example. response_status: None when there was no answer; error_message says why."""

    success: bool
    response_status: int | None = None
    response_body: str | None = None
    error_message: str | None = None


@dataclass(frozen=True, slots=True)
class WebhookDelivery:
    """An event that a webhook was not told yet, or never will be unless it is redelivered.

    name: of the model. position: of the event, in the registry's log. next_attempt_timestamp: not before.
    """

    delivery_id: str
    webhook_id: str
    event: str
    name: str
    position: int
    state: str
    attempts: int
    next_attempt_timestamp: int
    last_status: int | None = None
    last_error: str | None = None
    last_attempt_timestamp: int | None = None


def event_message(event: str) -> webhook_pb2.WebhookEvent:
    """ "model_version.created" as a message; which pairs there are, the registry says."""
    entity, _, action = event.partition(".")
    try:
        return webhook_pb2.WebhookEvent(
            entity=f"{_ENTITY}{entity.upper()}", action=f"{_ACTION}{action.upper()}"
        )
    except ValueError:
        raise Invalid(
            f"an event has the form ENTITY.ACTION, as model_version.created; got {event!r}", field="events"
        ) from None


def status_message(status: str | None) -> webhook_pb2.WebhookStatus:
    """A status as a message; None leaves it as it is."""
    if status is None:
        return webhook_pb2.WEBHOOK_STATUS_UNSPECIFIED
    if status == WebhookStatus.ACTIVE:
        return webhook_pb2.WEBHOOK_STATUS_ACTIVE
    if status == WebhookStatus.DISABLED:
        return webhook_pb2.WEBHOOK_STATUS_DISABLED
    raise Invalid(f"a status is ACTIVE or DISABLED, got {status!r}", field="status")


def state_message(state: str | None) -> webhook_pb2.DeliveryState:
    """A delivery's state as a message; None: all."""
    if state is None:
        return webhook_pb2.DELIVERY_STATE_UNSPECIFIED
    if state == DeliveryState.WAITING:
        return webhook_pb2.DELIVERY_STATE_WAITING
    if state == DeliveryState.DEAD:
        return webhook_pb2.DELIVERY_STATE_DEAD
    raise Invalid(f"a state is WAITING or DEAD, got {state!r}", field="state")


def webhook_from(message: webhook_pb2.Webhook) -> Webhook:
    """Webhook of its message."""
    return Webhook(
        webhook_id=message.webhook_id,
        name=message.name,
        url=message.url,
        events=tuple(map(_event_name, message.events)),
        description=message.description,
        status=webhook_pb2.WebhookStatus.Name(message.status).removeprefix("WEBHOOK_STATUS_"),
        has_secret=message.has_secret,
        creation_timestamp=message.created_us // 1_000,
        last_updated_timestamp=message.updated_us // 1_000,
    )


def result_from(message: webhook_pb2.TestWebhookResponse) -> WebhookTestResult:
    """WebhookTestResult of its message."""
    answered = bool(message.response_status)
    return WebhookTestResult(
        success=message.success,
        response_status=message.response_status if answered else None,
        response_body=message.response_body if answered else None,
        error_message=message.error or None,
    )


def delivery_from(message: webhook_pb2.Delivery) -> WebhookDelivery:
    """WebhookDelivery of its message."""
    return WebhookDelivery(
        delivery_id=message.delivery_id,
        webhook_id=message.webhook_id,
        event=_event_name(message.event),
        name=message.name,
        position=message.position,
        state=webhook_pb2.DeliveryState.Name(message.state).removeprefix("DELIVERY_STATE_"),
        attempts=message.attempts,
        next_attempt_timestamp=message.due_us // 1_000,
        last_status=message.last_status or None,
        last_error=message.last_error or None,
        last_attempt_timestamp=message.last_attempt_us // 1_000 or None,
    )


def _event_name(message: webhook_pb2.WebhookEvent) -> str:
    entity = _name(webhook_pb2.WebhookEntity, message.entity, _ENTITY)
    return f"{entity}.{_name(webhook_pb2.WebhookAction, message.action, _ACTION)}"


def _name(kind: Any, number: int, prefix: str) -> str:
    """As it is written; what a newer server knows by its number."""
    return str(kind.Name(number)).removeprefix(prefix).lower() if number in kind.values() else str(number)
