"""Webhooks of the registry store: MLflow's calls as the SDK's.

The registry tells of more than MLflow knows, as of transitions. Of a webhook for both MLflow's client
sees its own events only; one for others alone it does not see.
"""

from __future__ import annotations

from collections.abc import Sequence

from mlflow.entities.webhook import (
    VALID_ENTITY_ACTIONS,
    Webhook,
    WebhookEvent,
    WebhookStatus,
    WebhookTestResult,
)
from mlflow.store.entities.paged_list import PagedList
from mlflow.store.model_registry.abstract_store import AbstractStore

from rekam import Client, webhooks
from rekam.errors import NotFound

_PAGE = 100
_KNOWN = {f"{entity}.{action}" for entity, actions in VALID_ENTITY_ACTIONS.items() for action in actions}


class WebhookStore(AbstractStore):
    """A part of the registry store, which has the client."""

    _client: Client

    def create_webhook(
        self,
        name: str,
        url: str,
        events: Sequence[WebhookEvent],
        description: str | None = None,
        secret: str | None = None,
        status: WebhookStatus | str | None = None,
    ) -> Webhook:
        created = self._client.create_webhook(
            name, url, list(map(str, events)), description, secret, _status(status)
        )
        return _webhook(created)

    def get_webhook(self, webhook_id: str) -> Webhook:
        return _webhook(self._find(webhook_id))

    def list_webhooks(
        self, max_results: int | None = None, page_token: str | None = None
    ) -> PagedList[Webhook]:
        page = self._client.list_webhooks(max_results or _PAGE, page_token)
        return PagedList([_webhook(found) for found in page if _shown(found)], page.token)

    def update_webhook(
        self,
        webhook_id: str,
        name: str | None = None,
        description: str | None = None,
        url: str | None = None,
        events: Sequence[WebhookEvent] | None = None,
        secret: str | None = None,
        status: WebhookStatus | str | None = None,
    ) -> Webhook:
        """What MLflow cannot say of the events is not taken away by it."""
        before = self._find(webhook_id)
        kept = [event for event in before.events if event not in _KNOWN] if events else []
        updated = self._client.update_webhook(
            webhook_id,
            name or None,
            description,
            url or None,
            [*map(str, events or ()), *kept],
            secret,
            _status(status),
        )
        return _webhook(updated)

    def delete_webhook(self, webhook_id: str) -> None:
        self._find(webhook_id)
        self._client.delete_webhook(webhook_id)

    def test_webhook(self, webhook_id: str, event: WebhookEvent | None = None) -> WebhookTestResult:
        first = _shown(self._find(webhook_id))[0]
        result = self._client.test_webhook(webhook_id, str(event or first))
        return WebhookTestResult(
            success=result.success,
            response_status=result.response_status,
            response_body=result.response_body,
            error_message=f"Failed to test webhook: {result.error_message}" if result.error_message else None,
        )

    def _find(self, webhook_id: str) -> webhooks.Webhook:
        found = self._client.get_webhook(webhook_id)
        if not _shown(found):
            raise NotFound(f"Webhook with ID {webhook_id} not found.", field="webhook_id")
        return found


def _shown(found: webhooks.Webhook) -> list[str]:
    return [event for event in found.events if event in _KNOWN]


def _status(status: WebhookStatus | str | None) -> str | None:
    return None if status is None else WebhookStatus(status).value


def _webhook(found: webhooks.Webhook) -> Webhook:
    return Webhook(
        webhook_id=found.webhook_id,
        name=found.name,
        url=found.url,
        events=[WebhookEvent.from_str(event) for event in _shown(found)],
        creation_timestamp=found.creation_timestamp,
        last_updated_timestamp=found.last_updated_timestamp,
        description=found.description or None,
        status=found.status,
    )
