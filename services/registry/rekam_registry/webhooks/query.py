"""Webhooks: rows to answers."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from rekam_proto.registry.v1 import webhook_pb2
from rekam_registry.paging import page_size, position_of, token_of
from rekam_registry.webhooks import rules
from rekam_runtime.postgres import Connection, Row, Statements

_statements = Statements.load("rekam_registry.webhooks", "query.sql")


@dataclass(frozen=True, slots=True)
class Found:
    """A webhook, and what answers do not have."""

    webhook: webhook_pb2.Webhook
    sealed_secret: bytes


async def get_webhook(connection: Connection, webhook_id: str) -> Found:
    """Raises NotFound."""
    row = await connection.fetchrow(_statements.get, UUID(webhook_id))
    if row is None:
        raise rules.missing(webhook_id)
    return Found(_webhook(row), row["sealed_secret"])


async def list_webhooks(
    connection: Connection, request: webhook_pb2.ListWebhooksRequest
) -> webhook_pb2.ListWebhooksResponse:
    size = page_size(request.page_size)
    rows = await connection.fetch(_statements.page, position_of(request.page_token), size + 1)
    response = webhook_pb2.ListWebhooksResponse(webhooks=map(_webhook, rows[:size]))
    if len(rows) > size:
        response.next_page_token = token_of(rows[size - 1]["created_position"])
    return response


async def count(connection: Connection) -> int:
    found: int = await connection.fetchval(_statements.count)
    return found


def _webhook(row: Row) -> webhook_pb2.Webhook:
    webhook = webhook_pb2.Webhook.FromString(row["webhook"])
    webhook.created_us, webhook.updated_us = row["created_us"], row["from_us"]
    return webhook
