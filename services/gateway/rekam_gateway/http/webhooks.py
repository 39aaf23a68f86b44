"""webhooks/*: who is told of what happens in the registry."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import Annotated

from msgspec import Meta, Struct

from rekam_gateway.http.backend import Backend
from rekam_gateway.http.endpoints import Endpoints
from rekam_gateway.http.wire import Int32, Int64, Text
from rekam_proto.registry.v1 import webhook_pb2
from rekam_runtime.errors import Invalid, NotFound

MOST_RESULTS = 1_000

endpoints = Endpoints()


class Entity(enum.Enum):
    """Those that MLflow's client knows."""

    REGISTERED_MODEL = "REGISTERED_MODEL"
    MODEL_VERSION = "MODEL_VERSION"
    MODEL_VERSION_TAG = "MODEL_VERSION_TAG"
    MODEL_VERSION_ALIAS = "MODEL_VERSION_ALIAS"
    PROMPT = "PROMPT"
    PROMPT_VERSION = "PROMPT_VERSION"
    PROMPT_TAG = "PROMPT_TAG"
    PROMPT_VERSION_TAG = "PROMPT_VERSION_TAG"
    PROMPT_ALIAS = "PROMPT_ALIAS"
    BUDGET_POLICY = "BUDGET_POLICY"


class Action(enum.Enum):
    CREATED = "CREATED"
    UPDATED = "UPDATED"
    DELETED = "DELETED"
    SET = "SET"
    EXCEEDED = "EXCEEDED"


class Status(enum.Enum):
    ACTIVE = "ACTIVE"
    DISABLED = "DISABLED"


_ENTITY_OF = {webhook_pb2.WebhookEntity.Value(f"WEBHOOK_ENTITY_{each.name}"): each for each in Entity}
_ACTION_OF = {webhook_pb2.WebhookAction.Value(f"WEBHOOK_ACTION_{each.name}"): each for each in Action}
_STATUS_OF = {webhook_pb2.WebhookStatus.Value(f"WEBHOOK_STATUS_{each.name}"): each for each in Status}


class Event(Struct):
    entity: Entity
    action: Action


class Webhook(Struct, omit_defaults=True):
    webhook_id: str
    name: str
    url: str
    events: list[Event]
    status: Status
    creation_timestamp: Int64
    last_updated_timestamp: Int64
    description: str = ""


class WebhookAnswer(Struct):
    webhook: Webhook


class CreateWebhook(Struct):
    name: Text
    url: Text
    events: Annotated[list[Event], Meta(min_length=1)]
    description: str = ""
    secret: str = ""
    status: Status | None = None


class WebhookId(Struct):
    webhook_id: Text


class UpdateWebhook(Struct):
    """What is not there or empty stays; only a description and a secret may become empty."""

    webhook_id: Text
    name: str = ""
    url: str = ""
    events: list[Event] = []
    description: str | None = None
    secret: str | None = None
    status: Status | None = None


class ListWebhooks(Struct):
    max_results: Int32 = 0
    page_token: str = ""


class FoundWebhooks(Struct, omit_defaults=True):
    webhooks: list[Webhook] = []
    next_page_token: str = ""


class TestWebhook(Struct):
    """event: by default the webhook's first."""

    webhook_id: Text
    event: Event | None = None


class TestResult(Struct, omit_defaults=True):
    success: bool
    response_status: Int32 = 0
    response_body: str = ""
    error_message: str = ""


class TestAnswer(Struct):
    result: TestResult


@endpoints.post("mlflow/webhooks")
async def create(backend: Backend, asked: CreateWebhook) -> WebhookAnswer:
    created = await backend.registry.webhooks.CreateWebhook(
        webhook_pb2.CreateWebhookRequest(
            name=asked.name,
            url=asked.url,
            description=asked.description,
            events=map(_asked, asked.events),
            secret=asked.secret,
            status=_status(asked.status),
        )
    )
    return WebhookAnswer(_webhook(created))


@endpoints.get("mlflow/webhooks")
async def list_webhooks(backend: Backend, asked: ListWebhooks) -> FoundWebhooks:
    """Those of which there is anything that MLflow's client can read."""
    if not 0 <= asked.max_results <= MOST_RESULTS:
        raise Invalid(f"max_results must be between 1 and {MOST_RESULTS}.")
    found = await backend.registry.webhooks.ListWebhooks(
        webhook_pb2.ListWebhooksRequest(page_size=asked.max_results, page_token=asked.page_token)
    )
    return FoundWebhooks(
        [_webhook(each) for each in found.webhooks if _shown(each.events)], found.next_page_token
    )


@endpoints.get("mlflow/webhooks/{webhook_id}")
async def get(backend: Backend, asked: WebhookId) -> WebhookAnswer:
    return WebhookAnswer(_webhook(await _find(backend, asked.webhook_id)))


@endpoints.patch("mlflow/webhooks/{webhook_id}")
async def update(backend: Backend, asked: UpdateWebhook) -> WebhookAnswer:
    before = await _find(backend, asked.webhook_id)
    request = webhook_pb2.UpdateWebhookRequest(
        webhook_id=asked.webhook_id,
        name=asked.name or None,
        url=asked.url or None,
        description=asked.description,
        secret=asked.secret,
        status=_status(asked.status),
    )
    if asked.events:
        request.events.extend(map(_asked, asked.events))
        # What cannot be said here is not taken away here.
        request.events.extend(event for event in before.events if not _is_shown(event))
    return WebhookAnswer(_webhook(await backend.registry.webhooks.UpdateWebhook(request)))


@endpoints.delete("mlflow/webhooks/{webhook_id}")
async def delete(backend: Backend, asked: WebhookId) -> None:
    await _find(backend, asked.webhook_id)
    request = webhook_pb2.DeleteWebhookRequest(webhook_id=asked.webhook_id)
    await backend.registry.webhooks.DeleteWebhook(request)


@endpoints.post("mlflow/webhooks/{webhook_id}/test")
async def test(backend: Backend, asked: TestWebhook) -> TestAnswer:
    event = _asked(asked.event) if asked.event else _shown((await _find(backend, asked.webhook_id)).events)[0]
    request = webhook_pb2.TestWebhookRequest(webhook_id=asked.webhook_id, event=event)
    tested = await backend.registry.webhooks.TestWebhook(request)
    return TestAnswer(
        TestResult(
            success=tested.success,
            response_status=tested.response_status,
            response_body=tested.response_body,
            error_message=f"Failed to test webhook: {tested.error}" if tested.error else "",
        )
    )


async def _find(backend: Backend, webhook_id: str) -> webhook_pb2.Webhook:
    request = webhook_pb2.GetWebhookRequest(webhook_id=webhook_id)
    found = await backend.registry.webhooks.GetWebhook(request)
    if not _shown(found.events):
        raise NotFound(f"Webhook with ID {webhook_id} not found.")
    return found


def _asked(event: Event) -> webhook_pb2.WebhookEvent:
    return webhook_pb2.WebhookEvent(
        entity=f"WEBHOOK_ENTITY_{event.entity.name}", action=f"WEBHOOK_ACTION_{event.action.name}"
    )


def _status(status: Status | None) -> str | None:
    return f"WEBHOOK_STATUS_{status.name}" if status else None


def _shown(events: Iterable[webhook_pb2.WebhookEvent]) -> list[webhook_pb2.WebhookEvent]:
    return [event for event in events if _is_shown(event)]


def _is_shown(event: webhook_pb2.WebhookEvent) -> bool:
    return event.entity in _ENTITY_OF and event.action in _ACTION_OF


def _webhook(found: webhook_pb2.Webhook) -> Webhook:
    return Webhook(
        webhook_id=found.webhook_id,
        name=found.name,
        url=found.url,
        events=[Event(_ENTITY_OF[each.entity], _ACTION_OF[each.action]) for each in _shown(found.events)],
        status=_STATUS_OF[found.status],
        creation_timestamp=found.created_us // 1_000,
        last_updated_timestamp=found.updated_us // 1_000,
        description=found.description,
    )
