"""What every command's request carries besides its content: actor, origin, trace context."""

from __future__ import annotations

from typing import Any, Protocol, TypeAlias

import grpc.aio

from rekam_proto.event.v1.envelope_pb2 import Origin
from rekam_runtime.eventlog.envelope import Cause
from rekam_runtime.rpc.tracing import traceparent_of
from rekam_tracking import rules

Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]


class Acted(Protocol):
    """A request that says who asks."""

    @property
    def actor(self) -> str: ...


class Delivered(Acted, Protocol):
    """A request that may say which record of a writer it is."""

    @property
    def origin(self) -> Origin: ...

    def HasField(self, field_name: str, /) -> bool: ...  # noqa: N802


def cause_of(request: Acted, context: Context) -> Cause:
    rules.actor(request.actor)
    return Cause(actor=request.actor, traceparent=traceparent_of(context))


def cause_with_origin(request: Delivered, context: Context) -> Cause:
    rules.actor(request.actor)
    if not request.HasField("origin"):
        return Cause(actor=request.actor, traceparent=traceparent_of(context))
    rules.origin(request.origin)
    return Cause(actor=request.actor, origin=request.origin, traceparent=traceparent_of(context))
