"""What a test tells a receiver: one example of everything that can be told, the same every time."""

from __future__ import annotations

from typing import Any

from rekam_proto.registry.v1 import webhook_pb2
from rekam_registry.webhooks.pairs import Pair

_TAG = {"key": "example_key", "value": "example_value"}
_KEY = {"key": "example_key"}
_TAGS = {"example_key": "example_value"}
_MODEL = {"name": "example_model"}
_VERSION = {**_MODEL, "version": "1"}
_PROMPT = {"name": "example_prompt"}
_PROMPT_VERSION = {**_PROMPT, "version": "1"}
_ALIAS = {"alias": "example_alias"}
_REQUEST = {**_MODEL, "request_id": 1, "version": "1"}
_WHY = {"actor": "example_user", "reason": "An example reason"}

_Examples = dict[Pair, dict[str, Any]]


def example_of(pair: Pair) -> dict[str, Any]:
    """The data; of a pair that exists."""
    return _EXAMPLES[pair]


def _examples() -> _Examples:
    entity = webhook_pb2
    created, set_, deleted = (
        webhook_pb2.WEBHOOK_ACTION_CREATED,
        webhook_pb2.WEBHOOK_ACTION_SET,
        webhook_pb2.WEBHOOK_ACTION_DELETED,
    )
    return {
        (entity.WEBHOOK_ENTITY_REGISTERED_MODEL, created): {
            **_MODEL,
            "tags": _TAGS,
            "description": "An example registered model",
        },
        (entity.WEBHOOK_ENTITY_MODEL_VERSION, created): {
            **_VERSION,
            "source": "models:/123",
            "run_id": "abcd1234abcd5678",
            "tags": _TAGS,
            "description": "An example model version",
        },
        (entity.WEBHOOK_ENTITY_MODEL_VERSION_TAG, set_): {**_VERSION, **_TAG},
        (entity.WEBHOOK_ENTITY_MODEL_VERSION_TAG, deleted): {**_VERSION, **_KEY},
        (entity.WEBHOOK_ENTITY_MODEL_VERSION_ALIAS, created): {**_MODEL, **_ALIAS, "version": "1"},
        (entity.WEBHOOK_ENTITY_MODEL_VERSION_ALIAS, deleted): {**_MODEL, **_ALIAS},
        (entity.WEBHOOK_ENTITY_PROMPT, created): {
            **_PROMPT,
            "tags": _TAGS,
            "description": "An example prompt",
        },
        (entity.WEBHOOK_ENTITY_PROMPT_VERSION, created): {
            **_PROMPT_VERSION,
            "template": "Hello {{name}}!",
            "tags": _TAGS,
            "description": "An example prompt version",
        },
        (entity.WEBHOOK_ENTITY_PROMPT_TAG, set_): {**_PROMPT, **_TAG},
        (entity.WEBHOOK_ENTITY_PROMPT_TAG, deleted): {**_PROMPT, **_KEY},
        (entity.WEBHOOK_ENTITY_PROMPT_VERSION_TAG, set_): {**_PROMPT_VERSION, **_TAG},
        (entity.WEBHOOK_ENTITY_PROMPT_VERSION_TAG, deleted): {**_PROMPT_VERSION, **_KEY},
        (entity.WEBHOOK_ENTITY_PROMPT_ALIAS, created): {**_PROMPT, **_ALIAS, "version": "1"},
        (entity.WEBHOOK_ENTITY_PROMPT_ALIAS, deleted): {**_PROMPT, **_ALIAS},
        (entity.WEBHOOK_ENTITY_BUDGET_POLICY, webhook_pb2.WEBHOOK_ACTION_EXCEEDED): {
            "budget_policy_id": "bp-abc123",
            "budget_unit": "USD",
            "budget_amount": 100.0,
            "current_spend": 105.5,
            "duration_unit": "MONTHS",
            "duration_value": 1,
            "target_scope": "ENDPOINT",
            "workspace": "default",
            "target_value": "ep-abc123",
            "window_start": 1_704_067_200_000,
        },
        (entity.WEBHOOK_ENTITY_MODEL_VERSION_STAGE, webhook_pb2.WEBHOOK_ACTION_TRANSITIONED): {
            **_VERSION,
            "previous_stage": "Staging",
            "stage": "Production",
            **_WHY,
        },
        (entity.WEBHOOK_ENTITY_TRANSITION_REQUEST, created): {**_REQUEST, "stage": "Production", **_WHY},
        (entity.WEBHOOK_ENTITY_TRANSITION_REQUEST, webhook_pb2.WEBHOOK_ACTION_APPROVED): {
            **_REQUEST,
            "stage": "Production",
            **_WHY,
        },
        (entity.WEBHOOK_ENTITY_TRANSITION_REQUEST, webhook_pb2.WEBHOOK_ACTION_REJECTED): {**_REQUEST, **_WHY},
    }


_EXAMPLES = _examples()
