"""Rules for what requests on webhooks bring in; texts are MLflow's where it has one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import urlsplit
from uuid import UUID

from rekam_proto.registry.v1 import webhook_pb2
from rekam_registry import rules
from rekam_registry.webhooks.pairs import ACTIONS, action_name, entity_name, pair_of
from rekam_runtime.errors import Invalid, NotFound

MAX_URL = 2_048
MAX_SECRET = 1_000
STATUSES = (webhook_pb2.WEBHOOK_STATUS_ACTIVE, webhook_pb2.WEBHOOK_STATUS_DISABLED)

_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
_WEBHOOK_ID = re.compile(r"[0-9a-f]{32}")
# A URL with one of these is read differently by different programs.
_UNSAFE = re.compile(r"[\x00-\x20\x7f\\]")


def missing(webhook_id: str) -> NotFound:
    return NotFound(f"Webhook with ID {webhook_id[:80]} not found.", field="webhook_id")


def webhook_id(value: str) -> None:
    """One that no webhook can have is one that is not there."""
    if not _WEBHOOK_ID.fullmatch(value):
        raise missing(value)


def name(value: str) -> None:
    if not _NAME.fullmatch(value):
        raise Invalid(
            f"Webhook name {value[:80]!r} is invalid. It must start and end with a letter or digit, be at "
            "most 63 characters long, and contain only letters, digits, dots (.), underscores (_), and "
            "hyphens (-).",
            field="name",
        )


def url(value: str, *, plain: bool) -> None:
    """Its form; where it leads is another question. plain: http will do."""
    if not value.strip():
        raise Invalid(f"Webhook URL cannot be empty or just whitespace: {value[:80]!r}", field="url")
    rules.text(value, MAX_URL, "url", "a webhook's URL")
    if _UNSAFE.search(value):
        raise Invalid("Webhook URL must not contain blanks, backslashes or control characters", field="url")
    try:
        parts = urlsplit(value)
        parts.port  # noqa: B018  # reading it checks it
    except ValueError as error:
        raise Invalid(f"Invalid webhook URL {value[:200]!r}: {error}", field="url") from error
    schemes = ("https", "http") if plain else ("https",)
    if parts.scheme not in schemes:
        raise Invalid(
            f"Invalid webhook URL scheme: {parts.scheme!r}. Allowed schemes are: {', '.join(schemes)}.",
            field="url",
        )
    if not parts.hostname:
        raise Invalid(f"Webhook URL must include a hostname: {value[:200]!r}", field="url")
    if parts.username is not None or parts.password is not None:
        raise Invalid(
            "Webhook URL must not contain a user or password: URLs are shown, secrets sign", field="url"
        )


def events(values: Sequence[webhook_pb2.WebhookEvent]) -> list[webhook_pb2.WebhookEvent]:
    """Checked, each once."""
    if not values:
        raise Invalid("Webhook events must be a non-empty list of WebhookEvent objects: [].", field="events")
    for index, value in enumerate(values):
        event(value, f"events[{index}]")
    distinct = {pair_of(value): value for value in values}
    return list(distinct.values())


def event(value: webhook_pb2.WebhookEvent, field: str = "event") -> None:
    actions = ACTIONS.get(value.entity, ())
    if value.action not in actions:
        raise Invalid(
            f"Invalid action '{action_name(value.action)}' for entity '{entity_name(value.entity)}'. "
            f"Valid actions are: {sorted(map(action_name, actions))}",
            field=field,
        )


def secret(value: str) -> None:
    rules.text(value, MAX_SECRET, "secret", "a webhook's secret")


def delivery_ids(values: Sequence[str]) -> list[UUID]:
    """Checked; one that is gone is fine."""
    if len(values) > rules.MAX_ITEMS:
        raise Invalid(
            f"a request has at most {rules.MAX_ITEMS:,} delivery_ids, this one has {len(values):,}",
            field="delivery_ids",
        )
    checked = []
    for index, value in enumerate(values):
        try:
            checked.append(UUID(value))
        except ValueError:
            raise Invalid(f"{value[:80]!r} is no delivery's id", field=f"delivery_ids[{index}]") from None
    return checked


def status(value: int) -> None:
    if value and value not in STATUSES:
        raise Invalid("a webhook's status is ACTIVE or DISABLED", field="status")
