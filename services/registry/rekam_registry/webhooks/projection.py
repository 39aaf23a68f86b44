"""Webhooks: events to rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from rekam_proto.event.v1.envelope_pb2 import Envelope
from rekam_proto.registry.v1 import webhook_pb2
from rekam_registry.events import WebhookChange
from rekam_registry.timelines import Timeline
from rekam_registry.webhooks.state import described
from rekam_runtime.postgres import Connection, Statements

_statements = Statements.load("rekam_registry.webhooks", "projection.sql")


@dataclass(frozen=True, slots=True)
class WebhookEntry:
    """A webhook's event, where it stands in the log."""

    position: int
    envelope: Envelope
    event: WebhookChange

    @property
    def time_us(self) -> int:
        return self.envelope.time_us


async def apply(connection: Connection, entries: Sequence[WebhookEntry]) -> None:
    """Write events in their order."""
    states: Timeline[tuple[bytes, bytes]] = Timeline(_statements.close, _statements.insert)
    for entry in entries:
        event, webhook_id = entry.event, UUID(entry.event.webhook_id)
        if isinstance(event, webhook_pb2.WebhookDeleted):
            states.set((webhook_id,), None, entry)
            continue
        if isinstance(event, webhook_pb2.WebhookCreated):
            await connection.execute(_statements.create, webhook_id, entry.position, entry.time_us)
        states.set((webhook_id,), (described(event).SerializeToString(), event.sealed_secret), entry)
    await states.write(connection)
