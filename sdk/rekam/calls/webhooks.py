"""Calls about webhooks: who is told by HTTP of what happens in the registry."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

from rekam import webhooks as entities
from rekam.calls.deciding import By, by_message
from rekam.calls.session import Session, page_size
from rekam.entities import PagedList
from rekam.webhooks import Webhook, WebhookTestResult
from rekam_proto.registry.v1 import webhook_pb2


class Webhooks(Session):
    """Webhooks, by id. Every change takes reason and actor (By)."""

    def create_webhook(
        self,
        name: str,
        url: str,
        events: Sequence[str],
        description: str | None = None,
        secret: str | None = None,
        status: str | None = None,
        **by: Unpack[By],
    ) -> Webhook:
        """Tell a receiver of events, as "model_version.created", from now on.

        secret: signs what is sent; it is in no answer. status: ACTIVE if None.
        """
        request = webhook_pb2.CreateWebhookRequest(
            name=name,
            url=url,
            description=description or "",
            events=map(entities.event_message, events),
            secret=secret or "",
            status=entities.status_message(status),
            by=by_message(by),
        )
        return entities.webhook_from(self._call(self._server.registry.webhooks.CreateWebhook, request))

    def get_webhook(self, webhook_id: str) -> Webhook:
        """A webhook, without its secret."""
        request = webhook_pb2.GetWebhookRequest(webhook_id=webhook_id, consistency=self._consistency)
        return entities.webhook_from(self._call(self._server.registry.webhooks.GetWebhook, request))

    def list_webhooks(self, max_results: int = 100, page_token: str | None = None) -> PagedList:
        """A page of Webhook, the newest first. max_results: 1 to 1,000."""
        request = webhook_pb2.ListWebhooksRequest(
            page_size=page_size(max_results), page_token=page_token or "", consistency=self._consistency
        )
        answer = self._call(self._server.registry.webhooks.ListWebhooks, request)
        return PagedList(list(map(entities.webhook_from, answer.webhooks)), answer.next_page_token or None)

    def update_webhook(
        self,
        webhook_id: str,
        name: str | None = None,
        description: str | None = None,
        url: str | None = None,
        events: Sequence[str] | None = None,
        secret: str | None = None,
        status: str | None = None,
        **by: Unpack[By],
    ) -> Webhook:
        """Change a webhook; what is None stays. secret: "" signs nothing any more."""
        request = webhook_pb2.UpdateWebhookRequest(
            webhook_id=webhook_id,
            name=name,
            url=url,
            description=description,
            events=map(entities.event_message, events or ()),
            secret=secret,
            status=entities.status_message(status),
            by=by_message(by),
        )
        return entities.webhook_from(self._call(self._server.registry.webhooks.UpdateWebhook, request))

    def delete_webhook(self, webhook_id: str, **by: Unpack[By]) -> None:
        """Delete a webhook; what waits for it is dropped."""
        request = webhook_pb2.DeleteWebhookRequest(webhook_id=webhook_id, by=by_message(by))
        self._call(self._server.registry.webhooks.DeleteWebhook, request)

    def test_webhook(self, webhook_id: str, event: str | None = None) -> WebhookTestResult:
        """Send an example at once, of the webhook's first event if None; what came back."""
        request = webhook_pb2.TestWebhookRequest(
            webhook_id=webhook_id, event=None if event is None else entities.event_message(event)
        )
        answer = self._call(self._server.registry.webhooks.TestWebhook, request)
        return entities.result_from(answer)

    def list_webhook_deliveries(
        self,
        webhook_id: str | None = None,
        state: str | None = None,
        max_results: int = 100,
        page_token: str | None = None,
    ) -> PagedList:
        """A page of WebhookDelivery, the newest first: what waits and what was given up, of one or all."""
        request = webhook_pb2.ListDeliveriesRequest(
            webhook_id=webhook_id or "",
            state=entities.state_message(state),
            page_size=page_size(max_results),
            page_token=page_token or "",
        )
        answer = self._call(self._server.registry.webhooks.ListDeliveries, request)
        found = list(map(entities.delivery_from, answer.deliveries))
        return PagedList(found, answer.next_page_token or None)

    def redeliver(self, webhook_id: str, delivery_ids: Sequence[str] = (), **by: Unpack[By]) -> int:
        """Try deliveries again at once, all that were given up if none is named; how many those are."""
        request = webhook_pb2.RedeliverRequest(
            webhook_id=webhook_id, delivery_ids=delivery_ids, by=by_message(by)
        )
        return int(self._call(self._server.registry.webhooks.Redeliver, request).redelivered)
