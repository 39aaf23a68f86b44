"""What every command's request carries besides its content: who and why, trace context."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

import grpc.aio

from rekam_proto.registry.v1.read_pb2 import By
from rekam_registry import rules
from rekam_runtime.rpc.tracing import traceparent_of

Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]


@dataclass(frozen=True, slots=True)
class Cause:
    """What an event's envelope says about where it came from."""

    by: By = field(default_factory=By)
    traceparent: str = ""

    @property
    def writer(self) -> str:
        """New for every request that may be sent again; empty for others."""
        return self.by.origin.writer


class Acted(Protocol):
    """A request that says who asks, and why."""

    @property
    def by(self) -> By: ...

    def ByteSize(self) -> int: ...  # noqa: N802


def cause_of(request: Acted, context: Context) -> Cause:
    """Checked; so is the request's size."""
    rules.size(request.ByteSize())
    rules.by(request.by)
    return Cause(request.by, traceparent_of(context))
