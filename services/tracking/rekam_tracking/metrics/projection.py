"""Metrics: frames of the log to rows, many at a time.

A batch of any number of frames becomes one chunk for each writer and key set of a run (more
only when it would be too large), and one statement for each other table.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from operator import attrgetter
from uuid import UUID

from rekam_runtime.errors import Quarantine
from rekam_runtime.postgres import Connection, Statements
from rekam_tracking.metrics.chunks import SMALL_ROWS, Columns, gather
from rekam_tracking.metrics.frames import WORD, Frame
from rekam_tracking.metrics.key_sets import KeySet
from rekam_tracking.metrics.latest import latest_of
from rekam_tracking.metrics.rows import copy_chunks, plain_row
from rekam_tracking.writers import Arrived

_statements = Statements.load("rekam_tracking.metrics", "projection.sql")


@dataclass(frozen=True, slots=True)
class _Chunk:
    writer_id: int
    columns: Columns


def check_columns(frames: Iterable[Frame], key_sets: Mapping[bytes, KeySet]) -> None:
    """Raises Quarantine for a frame that does not fit its key set."""
    for frame in frames:
        columns = key_sets[frame.key_set].columns
        if len(frame.values) != frame.rows * columns * WORD:
            raise Quarantine(
                f"frame.values: {frame.rows} rows of {columns} keys with {len(frame.values)} bytes"
            )


async def write(connection: Connection, arrived: Iterable[Arrived], key_sets: Mapping[bytes, KeySet]) -> None:
    """Write the frames among what is new."""
    places: dict[tuple[UUID, int], list[_Chunk]] = {}
    for new in arrived:
        by_key_set: dict[bytes, list[Frame]] = {}
        for record in new.records:
            if isinstance(record, Frame):
                by_key_set.setdefault(record.key_set, []).append(record)
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
