"""The trace context that a call came with, for the events that it leads to."""

from __future__ import annotations

from typing import Any

import grpc.aio

# "00-<32 hex>-<16 hex>-<2 hex>"; later versions may be longer.
_MAX_TRACEPARENT = 128


def traceparent_of(context: grpc.aio.ServicerContext[Any, Any]) -> str:
    """As W3C has it; empty when there is none."""
    for key, value in context.invocation_metadata() or ():
        if key == "traceparent" and isinstance(value, str) and len(value) <= _MAX_TRACEPARENT:
            return value
    return ""
