"""The projection of the registry's stream: every noun's part of it."""

from __future__ import annotations

from collections.abc import Sequence

from rekam_registry.aliases import projection as aliases
from rekam_registry.events import ModelEvent, WebhookChange, decode
from rekam_registry.history import projection as history
from rekam_registry.models import projection as models
from rekam_registry.timelines import Entry
from rekam_registry.transitions import projection as transitions
from rekam_registry.versions import projection as versions
from rekam_registry.webhooks import projection as webhooks
from rekam_registry.webhooks.projection import WebhookEntry
from rekam_runtime.eventlog.port import Record
from rekam_runtime.postgres import Connection
from rekam_runtime.projection.part import Part, Write


def prepare(records: Sequence[Record]) -> Write:
    """Read a batch; raises Quarantine when it has a record that cannot be read."""
    entries: list[Entry] = []
    of_webhooks: list[WebhookEntry] = []
    for record in records:
        envelope, event = decode(record)
        # Who has a name follows from the models' events.
        if isinstance(event, ModelEvent):
            entries.append(Entry(record.position, envelope, event))
        elif isinstance(event, WebhookChange):
            of_webhooks.append(WebhookEntry(record.position, envelope, event))

    async def write(connection: Connection) -> int:
        if entries:
            await history.check_order(connection, entries)
            await models.apply(connection, entries)
            await versions.apply(connection, entries)
            await aliases.apply(connection, entries)
            await transitions.apply(connection, entries)
            await history.apply(connection, entries)
        if of_webhooks:
            await webhooks.apply(connection, of_webhooks)
        return 0

    return write


PART = Part(prepare)
