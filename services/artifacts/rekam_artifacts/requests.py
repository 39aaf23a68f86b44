"""What every request carries besides its content: who asks, and the trace context."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import grpc.aio

from rekam_artifacts import rules
from rekam_runtime.rpc.tracing import traceparent_of

Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]


class Acted(Protocol):
    """A request that says who asks."""

    @property
    def actor(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Cause:
    """What an event's envelope says about where it came from."""

    actor: str = ""
    traceparent: str = ""


def cause_of(request: Acted, context: Context) -> Cause:
    rules.actor(request.actor)
    return Cause(request.actor, traceparent_of(context))
