"""Metrics: frames of the log to rows, many at a time.

A batch of any number of frames becomes one chunk for each writer and key set of a run (more
only when it would be too large), and one statement for each other table.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from rekam_runtime.errors import Quarantine
from rekam_runtime.postgres import Connection, Statements
from rekam_tracking.metrics.chunks import SMALL_ROWS, Columns, gather
from rekam_tracking.metrics.frames import WORD, Frame
from rekam_tracking.metrics.key_sets import KeySet
from rekam_tracking.metrics.latest import LatestRow, latest_of, latest_row
from rekam_tracking.metrics.rows import ChunkRow, copy_chunks, plain_row
from rekam_tracking.writers import Arrived

_statements = Statements.load("rekam_tracking.metrics", "projection.sql")


_Place = tuple[UUID, int]


@dataclass(slots=True)
class _Written:
    """What was written of a run's key set: rows in all, small chunks, the latest row of each chunk."""

    rows: int = 0
    small_chunks: int = 0
    latest: list[LatestRow] = field(default_factory=list)

    def note(self, columns: Columns) -> None:
        self.rows += columns.rows
        self.small_chunks += columns.rows < SMALL_ROWS
        self.latest.append(latest_row(columns))


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
    frames: dict[_Place, dict[int, list[Frame]]] = {}
    for new in arrived:
        for record in new.records:
            if isinstance(record, Frame):
                place = (new.run_id, key_sets[record.key_set].key_set_id)
                frames.setdefault(place, {}).setdefault(new.writer_id, []).append(record)
    if not frames:
        return
    written = {place: _Written() for place in frames}
    await copy_chunks(connection, _chunks(frames, written))
    await connection.execute(
        _statements.count_rows,
        [run_id for run_id, _ in written],
        [key_set_id for _, key_set_id in written],
        [one.rows for one in written.values()],
        [one.small_chunks for one in written.values()],
    )
    latest = {place: latest_of(one.latest) for place, one in written.items()}
    await connection.executemany(
        _statements.keep_latest,
        [
            (run_id, key_set_id, row.step, row.time_us, row.values.tolist())
            for (run_id, key_set_id), row in latest.items()
        ],
    )


def _chunks(
    frames: Mapping[_Place, Mapping[int, Sequence[Frame]]], written: Mapping[_Place, _Written]
) -> Iterator[ChunkRow]:
    """Rows, each put together when it is its turn: Postgres is busy with those before it."""
    for place, by_writer in frames.items():
        for writer_id, some in by_writer.items():
            for columns in gather(some):
                written[place].note(columns)
                yield plain_row(*place, writer_id, columns)
