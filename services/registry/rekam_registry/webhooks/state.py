"""A webhook as its events add up: what its commands are decided on."""

from __future__ import annotations

from dataclasses import dataclass, field

from google.protobuf.message import Message

from rekam_proto.event.v1.envelope_pb2 import Envelope
from rekam_proto.registry.v1 import webhook_pb2

_WEIGHT = 1_000


@dataclass(slots=True)
class WebhookState:
    """One webhook; its id is empty while there is none, and again when it was deleted."""

    webhook: webhook_pb2.Webhook = field(default_factory=webhook_pb2.Webhook)
    sealed_secret: bytes = b""
    deleted: bool = False
    weight: int = _WEIGHT

    def apply(self, event: Message, envelope: Envelope, position: int) -> None:
        match event:
            case webhook_pb2.WebhookCreated() | webhook_pb2.WebhookUpdated():
                created_us = self.webhook.created_us or envelope.time_us
                self.webhook = described(event)
                self.webhook.created_us, self.webhook.updated_us = created_us, envelope.time_us
                self.sealed_secret = event.sealed_secret
                self.weight = _WEIGHT + 4 * event.ByteSize()
            case webhook_pb2.WebhookDeleted():
                self.deleted = True
            case _:
                pass


def described(event: webhook_pb2.WebhookCreated | webhook_pb2.WebhookUpdated) -> webhook_pb2.Webhook:
    """The webhook as answers have it, but for its times."""
    return webhook_pb2.Webhook(
        webhook_id=event.webhook_id,
        name=event.name,
        url=event.url,
        description=event.description,
        events=event.events,
        status=event.status,
        has_secret=bool(event.sealed_secret),
    )
