"""Webhooks as decided by the log: each is one subject, named by its id."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable

from rekam_proto.registry.v1 import webhook_pb2
from rekam_registry import events
from rekam_registry.events import WebhookChange
from rekam_registry.webhooks.state import WebhookState
from rekam_runtime.eventlog.envelope import Cause
from rekam_runtime.eventlog.port import EventLog
from rekam_runtime.eventlog.subjects import Decision, Subjects, decide

_WEIGHT = 4 * 1024 * 1024


class Webhooks:
    """All webhooks; those changed lately stay folded."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._kept: Subjects[WebhookState] = Subjects(
            log,
            events.STREAM,
            events.decode,
            subject=events.webhook_subject,
            kind="webhook",
            empty=WebhookState,
            max_weight=_WEIGHT,
        )

    def forget(self) -> None:
        """Drop what is folded, as after the log was emptied."""
        self._kept.forget()

    async def create(
        self, event_of: Callable[[str], webhook_pb2.WebhookCreated], cause: Cause
    ) -> webhook_pb2.Webhook:
        """event_of: the event of a webhook with this id."""
        created = event_of(_new_id(cause))
        subject = self._kept.get(created.webhook_id)

        def what() -> Decision[webhook_pb2.WebhookCreated]:
            # One that is there was created by this very request, sent before.
            return () if subject.state.webhook.webhook_id else [(subject, created)]

        await decide(self._log, [subject], what, cause)
        return subject.state.webhook

    async def change(
        self, webhook_id: str, decision: Callable[[WebhookState], WebhookChange | None], cause: Cause
    ) -> webhook_pb2.Webhook:
        """Append the event that `decision` answers; the webhook after it."""
        subject = self._kept.get(webhook_id)

        def what() -> Decision[WebhookChange]:
            event = decision(subject.state)
            return () if event is None else [(subject, event)]

        await decide(self._log, [subject], what, cause)
        return subject.state.webhook


def _new_id(cause: Cause) -> str:
    """The same for the same request that comes again."""
    if not cause.writer:
        return uuid.uuid4().hex
    return hashlib.sha256(f"webhook {cause.writer}".encode()).hexdigest()[:32]
