"""What a service has to rebuild."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from rekam_runtime.postgres import Connection
from rekam_runtime.projection.part import Part
from rekam_runtime.rebuild.comparing import Comparison


@dataclass(frozen=True, slots=True)
class Plan:
    """service: whose projection it is ("tracking"). package: where its migrations are.
    parts: makes new ones, by stream; what they remember is of one generation.
    comparisons: all that readers see, in terms that do not depend on how it came about.
    tidy: what goes on in the background on the active generation, done once for the new one.
    """

    service: str
    package: str
    parts: Callable[[], Mapping[str, Part]]
    comparisons: Sequence[Comparison]
    tidy: Callable[[Connection], Awaitable[None]]
