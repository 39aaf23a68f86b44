"""A part of a projection: what one stream becomes. Live, in a rebuild and in a retry it is the same code."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from rekam_runtime.eventlog.port import Record
from rekam_runtime.postgres import Connection

# Writes what was read from records; answers how many points that were new were among them.
Write = Callable[[Connection], Awaitable[int]]


def _nothing() -> None:
    """For a part that remembers nothing."""


@dataclass(frozen=True, slots=True)
class Part:
    """prepare: reads records, without the database; raises what speaks against one of them, as `Write` may.
    forget: called after what was written since the last commit was rolled back, so that ids and
        rows that it remembers are forgotten.
    """

    prepare: Callable[[Sequence[Record]], Write]
    forget: Callable[[], None] = _nothing

    async def apply(self, connection: Connection, records: Sequence[Record], /) -> None:
        """See `Apply`."""
        await self.prepare(records)(connection)
