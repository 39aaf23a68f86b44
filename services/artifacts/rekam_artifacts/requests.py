"""What every request carries besides its content: who asks, and the trace context."""

from __future__ import annotations

from typing import Any, Protocol, TypeAlias

import grpc.aio

from rekam_artifacts import rules
from rekam_runtime.eventlog.envelope import Cause
from rekam_runtime.rpc.tracing import traceparent_of

Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]


class Acted(Protocol):
    """A request that says who asks."""

    @property
    def actor(self) -> str: ...


def cause_of(request: Acted, context: Context) -> Cause:
    rules.actor(request.actor)
    return Cause(request.actor, traceparent=traceparent_of(context))
