"""The projection of a points stream: every noun's part of it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial

from rekam_runtime.eventlog.port import Record
from rekam_runtime.postgres import Connection
from rekam_runtime.projection.part import Part, Write
from rekam_tracking.appended import Appended, decode
from rekam_tracking.metrics import projection as metrics
from rekam_tracking.metrics.key_sets import KeySets
from rekam_tracking.texts import projection as texts
from rekam_tracking.writers import receive


class PointsProjection:
    """Applies a points stream. Each stream has its own: what one has learnt in an open
    transaction is nothing to the others.

    busy_s: seconds spent writing so far; what runs in the background looks at it.
    """

    def __init__(self) -> None:
        self._key_sets = KeySets()
        self.busy_s = 0.0

    def forget(self) -> None:
        """Forget what was learnt: its transaction was rolled back, or the tables were emptied."""
        self._key_sets.forget()

    def part(self) -> Part:
        return Part(self.prepare, self.forget)

    def prepare(self, records: Sequence[Record]) -> Write:
        """Read a batch; raises Quarantine when a record is malformed."""
        return partial(self._write, decode(records))

    async def apply(self, connection: Connection, records: Sequence[Record], /) -> None:
        await self.prepare(records)(connection)

    async def _write(self, batch: Appended, connection: Connection) -> int:
        """Write what is new; answers how many points that is."""
        started = time.perf_counter()
        try:
            frames = batch.frames
            hashes = {frame.key_set for frame in frames}
            key_sets = await self._key_sets.resolve(connection, hashes, batch.key_sets)
            metrics.check_columns(frames, key_sets)
            arrived = await receive(connection, batch.sent, batch.heartbeats)
            await metrics.write(connection, arrived, key_sets)
            await texts.write(connection, arrived)
            return sum(record.points for one in arrived for record in one.records)
        finally:
            self.busy_s += time.perf_counter() - started
