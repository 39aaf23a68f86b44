"""A role's parts, connected: what a service's wiring makes, and what is run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from rekam_runtime.ops import Readiness, Reset
from rekam_runtime.projection.leases import Work
from rekam_runtime.rpc.server import Service


@dataclass(frozen=True, slots=True)
class Role:
    """missing: what is not ready, as text.
    reset: forgets everything, after the log was emptied.
    services: served over gRPC.
    drain: ends calls that would last, before the server stops.
    work: by name; goes on until the process stops.
    """

    missing: Readiness
    reset: Reset
    services: Sequence[Service] = ()
    drain: Callable[[], Awaitable[None]] | None = None
    work: Mapping[str, Work] = field(default_factory=dict)
