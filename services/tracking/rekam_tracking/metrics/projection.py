"""Points: frames of the log to rows, many at a time.

A batch of any number of frames becomes one chunk for each writer and key set of a run (more
only when it would be too large), and one statement for each other table.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from uuid import UUID

from rekam_runtime.errors import Quarantine
from rekam_runtime.eventlog.port import Record
from rekam_runtime.postgres import Connection, Statements
from rekam_tracking.metrics.chunks import SMALL_ROWS, Columns, gather
from rekam_tracking.metrics.frames import WORD, Frame, decode
from rekam_tracking.metrics.key_sets import KeySet, KeySets
from rekam_tracking.metrics.latest import latest_of
from rekam_tracking.metrics.rows import copy_chunks, plain_row
from rekam_tracking.metrics.writers import NewFrames, receive

_statements = Statements.load("rekam_tracking.metrics", "projection.sql")


@dataclass(frozen=True, slots=True)
class _Chunk:
    writer_id: int
    columns: Columns


class PointsProjection:
    """Applies a points stream. Each stream has its own: what one has learnt in an open
    transaction is nothing to the others.

    busy_s: seconds spent in `apply` so far; what runs in the background looks at it.
    """

    def __init__(self) -> None:
        self._key_sets = KeySets()
        self.busy_s = 0.0

    def forget(self) -> None:
        """Forget what was learnt: its transaction was rolled back, or the tables were emptied."""
        self._key_sets.forget()

    async def apply(self, connection: Connection, records: Sequence[Record], /) -> None:
        """Write what is new in the records; raises Quarantine when one is malformed."""
        started = time.perf_counter()
        try:
            batch = decode(records)
            hashes = {frame.key_set for frame in batch.frames}
            key_sets = await self._key_sets.resolve(connection, hashes, batch.key_sets)
            _check_columns(batch.frames, key_sets)
            if batch.frames:
                await _write(connection, await receive(connection, batch.frames), key_sets)
        finally:
            self.busy_s += time.perf_counter() - started


def _check_columns(frames: Sequence[Frame], key_sets: dict[bytes, KeySet]) -> None:
    for frame in frames:
        columns = key_sets[frame.key_set].columns
        if len(frame.values) != frame.rows * columns * WORD:
            raise Quarantine(
                f"frame.values: {frame.rows} rows of {columns} keys with {len(frame.values)} bytes"
            )


async def _write(
    connection: Connection, received: Sequence[NewFrames], key_sets: dict[bytes, KeySet]
) -> None:
    places: dict[tuple[UUID, int], list[_Chunk]] = {}
    for new in received:
        by_key_set: dict[bytes, list[Frame]] = {}
        for frame in new.frames:
            by_key_set.setdefault(frame.key_set, []).append(frame)
        for hash, frames in by_key_set.items():
            chunks = places.setdefault((new.run_id, key_sets[hash].key_set_id), [])
            chunks += [_Chunk(new.writer_id, columns) for columns in gather(frames)]
    if not places:
        return
    await copy_chunks(
        connection,
        [
            plain_row(run_id, key_set_id, chunk.writer_id, chunk.columns)
            for (run_id, key_set_id), chunks in places.items()
            for chunk in chunks
        ],
    )
    await connection.execute(
        _statements.count_rows,
        [run_id for run_id, _ in places],
        [key_set_id for _, key_set_id in places],
        [sum(chunk.columns.rows for chunk in chunks) for chunks in places.values()],
        [sum(chunk.columns.rows < SMALL_ROWS for chunk in chunks) for chunks in places.values()],
    )
    latest = {place: latest_of(map(attrgetter("columns"), chunks)) for place, chunks in places.items()}
    await connection.executemany(
        _statements.keep_latest,
        [
            (run_id, key_set_id, row.step, row.time_us, row.values.tolist())
            for (run_id, key_set_id), row in latest.items()
        ],
    )
