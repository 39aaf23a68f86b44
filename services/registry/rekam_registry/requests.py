"""What every command's request carries besides its content: who and why, trace context."""

from __future__ import annotations

from typing import Any, Protocol, TypeAlias

import grpc.aio

from rekam_proto.registry.v1.read_pb2 import By
from rekam_registry import rules
from rekam_runtime.eventlog.envelope import Cause
from rekam_runtime.rpc.tracing import traceparent_of

Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]


class Acted(Protocol):
    """A request that says who asks, and why."""

    @property
    def by(self) -> By: ...

    def ByteSize(self) -> int: ...  # noqa: N802


def cause_of(request: Acted, context: Context) -> Cause:
    """Checked; so is the request's size."""
    rules.size(request.ByteSize())
    rules.by(request.by)
    by = request.by
    origin = by.origin if by.HasField("origin") else None
    return Cause(by.actor, by.reason, origin, traceparent_of(context))
