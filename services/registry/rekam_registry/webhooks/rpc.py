"""WebhookService: proto in, proto out. Errors are the runtime's to answer."""

from __future__ import annotations

import time
import uuid
from uuid import UUID

import structlog

from rekam_proto.registry.v1 import webhook_pb2, webhook_pb2_grpc
from rekam_proto.registry.v1.read_pb2 import AsOf
from rekam_proto.tracking.v1 import read_pb2
from rekam_registry import rules
from rekam_registry.paging import page_size, position_of, token_of
from rekam_registry.reads import Reads
from rekam_registry.requests import Context, cause_of
from rekam_registry.webhooks import command, query
from rekam_registry.webhooks import rules as own_rules
from rekam_registry.webhooks.examples import example_of
from rekam_registry.webhooks.ledger import Webhooks
from rekam_registry.webhooks.pairs import pair_of
from rekam_registry.webhooks.posting import Poster, Unanswered
from rekam_registry.webhooks.queue import Queue
from rekam_registry.webhooks.sealing import Sealer
from rekam_registry.webhooks.signing import body_of, headers_of
from rekam_runtime.errors import FailedPrecondition, Invalid

SERVICE = "rekam_proto.registry.v1.WebhookService"
_NOW = AsOf()
_STATES = {
    webhook_pb2.DELIVERY_STATE_UNSPECIFIED: None,
    webhook_pb2.DELIVERY_STATE_WAITING: False,
    webhook_pb2.DELIVERY_STATE_DEAD: True,
}
_log = structlog.get_logger(__name__)


class WebhookServicer(webhook_pb2_grpc.WebhookServiceServicer):
    """private: URLs may be http and lead to addresses that are not public."""

    def __init__(
        self,
        webhooks: Webhooks,
        reads: Reads,
        queue: Queue,
        poster: Poster,
        sealer: Sealer,
        *,
        private: bool,
        most_webhooks: int,
    ) -> None:
        self._webhooks = webhooks
        self._reads = reads
        self._queue = queue
        self._poster = poster
        self._sealer = sealer
        self._private = private
        self._most_webhooks = most_webhooks

    async def CreateWebhook(
        self, request: webhook_pb2.CreateWebhookRequest, context: Context
    ) -> webhook_pb2.Webhook:
        cause = cause_of(request, context)
        own_rules.name(request.name)
        rules.description(request.description)
        own_rules.secret(request.secret)
        own_rules.status(request.status)
        events = own_rules.events(request.events)
        await self._check_url(request.url)
        await self._check_room(context)
        created = webhook_pb2.WebhookCreated(
            name=request.name,
            url=request.url,
            description=request.description,
            events=events,
            status=request.status or webhook_pb2.WEBHOOK_STATUS_ACTIVE,
            sealed_secret=self._sealer.seal(request.secret),
        )

        def event_of(webhook_id: str) -> webhook_pb2.WebhookCreated:
            created.webhook_id = webhook_id
            return created

        return await self._webhooks.create(event_of, cause)

    async def GetWebhook(
        self, request: webhook_pb2.GetWebhookRequest, context: Context
    ) -> webhook_pb2.Webhook:
        return (await self._find(request.webhook_id, request.consistency, context)).webhook

    async def ListWebhooks(
        self, request: webhook_pb2.ListWebhooksRequest, context: Context
    ) -> webhook_pb2.ListWebhooksResponse:
        async with self._reads.view(_NOW, request.consistency, context) as view:
            return await query.list_webhooks(view.connection, request)

    async def UpdateWebhook(
        self, request: webhook_pb2.UpdateWebhookRequest, context: Context
    ) -> webhook_pb2.Webhook:
        cause = cause_of(request, context)
        own_rules.webhook_id(request.webhook_id)
        if request.HasField("name"):
            own_rules.name(request.name)
        rules.description(request.description)
        own_rules.secret(request.secret)
        own_rules.status(request.status)
        events = own_rules.events(request.events) if request.events else []
        if request.HasField("url"):
            await self._check_url(request.url)
        sealed = self._sealer.seal(request.secret)
        return await self._webhooks.change(
            request.webhook_id, lambda state: command.update(state, request, events, sealed), cause
        )

    async def DeleteWebhook(
        self, request: webhook_pb2.DeleteWebhookRequest, context: Context
    ) -> webhook_pb2.DeleteWebhookResponse:
        cause = cause_of(request, context)
        own_rules.webhook_id(request.webhook_id)
        await self._webhooks.change(
            request.webhook_id, lambda state: command.delete(state, request.webhook_id), cause
        )
        return webhook_pb2.DeleteWebhookResponse()

    async def TestWebhook(
        self, request: webhook_pb2.TestWebhookRequest, context: Context
    ) -> webhook_pb2.TestWebhookResponse:
        if request.HasField("event"):
            own_rules.event(request.event)
        found = await self._find(request.webhook_id, read_pb2.CONSISTENCY_STRONG, context)
        pair = pair_of(request.event if request.HasField("event") else found.webhook.events[0])
        now_us = time.time_ns() // 1_000
        body = body_of(pair, now_us, example_of(pair))
        try:
            secret = self._sealer.open(found.sealed_secret)
            headers = headers_of(str(uuid.uuid4()), body, secret, now_us // 1_000_000)
            answer = await self._poster.post(found.webhook.url, body, headers)
        except (Unanswered, FailedPrecondition) as error:
            return webhook_pb2.TestWebhookResponse(error=error.message)
        return webhook_pb2.TestWebhookResponse(
            success=answer.success, response_status=answer.status, response_body=answer.body
        )

    async def ListDeliveries(
        self, request: webhook_pb2.ListDeliveriesRequest, context: Context
    ) -> webhook_pb2.ListDeliveriesResponse:
        if request.webhook_id:
            own_rules.webhook_id(request.webhook_id)
        if request.state not in _STATES:
            raise Invalid("a delivery waits or is dead", field="state")
        size = page_size(request.page_size)
        found = await self._queue.page(
            UUID(request.webhook_id) if request.webhook_id else None,
            _STATES[request.state],
            position_of(request.page_token),
            size + 1,
        )
        response = webhook_pb2.ListDeliveriesResponse(deliveries=[each for _, each in found[:size]])
        if len(found) > size:
            response.next_page_token = token_of(found[size - 1][0])
        return response

    async def Redeliver(
        self, request: webhook_pb2.RedeliverRequest, context: Context
    ) -> webhook_pb2.RedeliverResponse:
        cause = cause_of(request, context)
        found = await self._find(request.webhook_id, read_pb2.CONSISTENCY_STRONG, context)
        count = await self._queue.redeliver(
            UUID(found.webhook.webhook_id), own_rules.delivery_ids(request.delivery_ids)
        )
        _log.info(
            "webhook.redelivered",
            webhook_id=request.webhook_id,
            deliveries=count,
            actor=cause.actor,
            reason=cause.reason,
        )
        return webhook_pb2.RedeliverResponse(redelivered=count)

    async def _find(
        self, webhook_id: str, consistency: read_pb2.Consistency, context: Context
    ) -> query.Found:
        own_rules.webhook_id(webhook_id)
        async with self._reads.view(_NOW, consistency, context) as view:
            return await query.get_webhook(view.connection, webhook_id)

    async def _check_url(self, url: str) -> None:
        own_rules.url(url, plain=self._private)
        await self._poster.check(url)

    async def _check_room(self, context: Context) -> None:
        """As far as it is projected: of those who come at the same moment a few more may get in."""
        async with self._reads.view(_NOW, read_pb2.CONSISTENCY_EVENTUAL, context) as view:
            if await query.count(view.connection) >= self._most_webhooks:
                raise FailedPrecondition(f"there are {self._most_webhooks:,} webhooks: delete one first")
