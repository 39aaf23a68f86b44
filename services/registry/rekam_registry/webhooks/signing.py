"""What a receiver gets: the body, and headers by which it knows that it is from here. Pure.

MLflow's rules, which are those of Standard Webhooks under other names.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from rekam_registry.webhooks.pairs import Pair, action_name, entity_name

DELIVERY_ID = "X-MLflow-Delivery-Id"
TIMESTAMP = "X-MLflow-Timestamp"
SIGNATURE = "X-MLflow-Signature"


def body_of(pair: Pair, time_us: int, data: Mapping[str, Any]) -> bytes:
    """The bytes that are sent and signed. time_us: when it happened."""
    entity, action = pair
    seconds, micros = divmod(time_us, 1_000_000)
    happened = datetime.fromtimestamp(seconds, UTC).replace(microsecond=micros)
    told = {
        "entity": entity_name(entity),
        "action": action_name(action),
        "timestamp": happened.isoformat(),
        "data": data,
    }
    return json.dumps(told).encode()


def headers_of(delivery_id: str, body: bytes, secret: str, now_s: int) -> dict[str, str]:
    """secret: empty: nothing is signed. now_s: of this attempt, so that what is old can be refused."""
    headers = {"Content-Type": "application/json", DELIVERY_ID: delivery_id, TIMESTAMP: str(now_s)}
    if secret:
        signed = f"{delivery_id}.{now_s}.".encode() + body
        digest = hmac.new(secret.encode(), signed, hashlib.sha256).digest()
        headers[SIGNATURE] = "v1," + base64.b64encode(digest).decode()
    return headers
