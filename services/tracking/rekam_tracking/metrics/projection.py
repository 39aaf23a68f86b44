"""Points from the log into chunks, once: `apply` of the points streams.

A batch becomes few large rows: the new frames of one run, key set and writer are put
together column by column. Frames that were received before, in this batch or ever, are
left out by the ranges of sequences kept for each writer.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from uuid import UUID

import numpy as np

from rekam_runtime.errors import Quarantine
from rekam_runtime.eventlog.port import Record
from rekam_runtime.postgres import Connection, Statements
from rekam_tracking.metrics.frames import StoredFrame, read
from rekam_tracking.metrics.key_sets import KeySets, StoredKeySet
from rekam_tracking.metrics.latest import latest_row

# Bytes of values in one chunk: the unit of memory for whoever reads or merges it.
CHUNK_BYTES = 4 * 1024 * 1024

_statements = Statements.load("rekam_tracking.metrics", "projection.sql")
_COLUMNS = (
    *("run_id", "key_set_id", "writer", "rows", "step_min", "step_max", "time_min", "time_max"),
    *("steps", "times_us", "values"),
)

Writer = tuple[UUID, str]


class PointsProjection:
    """Remembers key sets between batches; everything else is in the database."""

    def __init__(self) -> None:
        self._key_sets = KeySets()

    def forget(self) -> None:
        """After a rollback, or when the tables were emptied."""
        self._key_sets.forget()

    async def apply(self, connection: Connection, records: Sequence[Record]) -> None:
        """Write a batch; raises Quarantine when it holds what cannot be read."""
        defined, frames = read(records)
        key_sets = await self._key_sets.resolve(connection, defined, {frame.key_set for frame in frames})
        for frame in frames:
            if len(frame.values) != len(frame.steps) * key_sets[frame.key_set].columns:
                raise Quarantine(f"frame {frame.sequence} of run {frame.run_id.hex} does not fit its key set")
        new = await _receive(connection, frames, key_sets)
        groups: defaultdict[tuple[UUID, bytes, str], list[StoredFrame]] = defaultdict(list)
        for frame in new:
            groups[frame.run_id, frame.key_set, frame.writer].append(frame)
        chunks = []
        for (run_id, digest, writer), group in groups.items():
            key_set = key_sets[digest]
            for part in _split(group):
                chunks.append(await _chunk(connection, run_id, key_set, writer, part))
        if chunks:
            await connection.copy_records_to_table("metric_chunks", records=chunks, columns=_COLUMNS)


async def _receive(
    connection: Connection, frames: Sequence[StoredFrame], key_sets: dict[bytes, StoredKeySet]
) -> list[StoredFrame]:
    """The frames that are new, noted as received."""
    writers: dict[Writer, None] = dict.fromkeys((frame.run_id, frame.writer) for frame in frames)
    if not writers:
        return []
    rows = await connection.fetch(
        _statements.received, [run_id for run_id, _ in writers], [writer for _, writer in writers]
    )
    received = {(row["run_id"], row["writer"]): row["received"] for row in rows}
    arrived: defaultdict[Writer, set[int]] = defaultdict(set)
    points: defaultdict[Writer, int] = defaultdict(int)
    ranks: dict[Writer, int | None] = {}
    new = []
    for frame in frames:
        writer = (frame.run_id, frame.writer)
        if frame.sequence in arrived[writer]:
            continue
        if any(part.lower <= frame.sequence < part.upper for part in received.get(writer, ())):
            continue
        arrived[writer].add(frame.sequence)
        points[writer] += len(frame.values)
        ranks[writer] = frame.rank
        new.append(frame)
    if new:
        await connection.execute(
            _statements.receive,
            [run_id for run_id, _ in ranks],
            [writer for _, writer in ranks],
            list(ranks.values()),
            [_multirange(arrived[writer]) for writer in ranks],
            [points[writer] for writer in ranks],
        )
    return new


def _multirange(sequences: Iterable[int]) -> str:
    """As Postgres writes it: {[1,4),[7,8)}."""
    ranges: list[list[int]] = []
    for sequence in sorted(sequences):
        if ranges and ranges[-1][1] == sequence:
            ranges[-1][1] += 1
        else:
            ranges.append([sequence, sequence + 1])
    return "{" + ",".join(f"[{first},{end})" for first, end in ranges) + "}"


def _split(group: list[StoredFrame]) -> Iterable[list[StoredFrame]]:
    """Parts of at most CHUNK_BYTES of values, in order."""
    part: list[StoredFrame] = []
    size = 0
    for frame in group:
        if part and size + frame.values.nbytes > CHUNK_BYTES:
            yield part
            part, size = [], 0
        part.append(frame)
        size += frame.values.nbytes
    yield part


async def _chunk(
    connection: Connection, run_id: UUID, key_set: StoredKeySet, writer: str, frames: list[StoredFrame]
) -> tuple[object, ...]:
    steps = np.concatenate([frame.steps for frame in frames])
    times_us = np.concatenate([frame.times_us for frame in frames])
    columns = [frame.values.reshape(key_set.columns, -1) for frame in frames]
    values = columns[0] if len(columns) == 1 else np.concatenate(columns, axis=1)
    latest = latest_row(steps, times_us, values)
    await connection.execute(
        _statements.set_live, run_id, key_set.key_set_id, latest.step, latest.time_us, latest.values.tolist()
    )
    bounds = (int(steps.min()), int(steps.max()), int(times_us.min()), int(times_us.max()))
    arrays = (steps.tobytes(), times_us.tobytes(), values.tobytes())
    return (run_id, key_set.key_set_id, writer, len(steps), *bounds, *arrays)
