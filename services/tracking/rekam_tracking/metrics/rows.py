"""Rows of metric_chunks, written by binary COPY."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple
from uuid import UUID

from rekam_runtime.postgres import Connection
from rekam_tracking.metrics.chunks import Columns, stride_of

PLAIN = 0
COMPRESSED = 1


class ChunkRow(NamedTuple):
    """One row; fields are named and ordered as the columns. Bytes are anything with a buffer."""

    run_id: UUID
    key_set_id: int
    writer_id: int
    codec: int
    rows: int
    first_column: int
    columns: int
    step_min: int
    step_max: int
    step_stride: int | None
    time_min: int
    time_max: int
    column_ends: list[int] | None
    steps: Any
    times_us: Any
    values: Any


def plain_row(run_id: UUID, key_set_id: int, writer_id: int, columns: Columns) -> ChunkRow:
    """All keys of a key set, as they came."""
    steps, times_us = columns.steps, columns.times_us
    stride = stride_of(steps)
    return ChunkRow(
        run_id=run_id,
        key_set_id=key_set_id,
        writer_id=writer_id,
        codec=PLAIN,
        rows=columns.rows,
        first_column=0,
        columns=len(columns.values),
        step_min=int(steps.min()),
        step_max=int(steps.max()),
        step_stride=stride,
        time_min=int(times_us.min()),
        time_max=int(times_us.max()),
        column_ends=None,
        steps=steps if stride is None else None,
        times_us=times_us,
        values=columns.values,
    )


async def copy_chunks(connection: Connection, rows: Iterable[ChunkRow]) -> None:
    await connection.copy_records_to_table("metric_chunks", records=rows, columns=ChunkRow._fields)
