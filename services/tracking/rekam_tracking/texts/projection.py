"""Texts to rows, many at a time: one chunk for each writer and stream of a batch, more when it is large."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple
from uuid import UUID

from rekam_runtime.postgres import Connection, Statements
from rekam_tracking.texts.chunks import gather, pack
from rekam_tracking.texts.lines import Text
from rekam_tracking.writers import Arrived

_statements = Statements.load("rekam_tracking.texts", "projection.sql")


class _ChunkRow(NamedTuple):
    """A row of text_chunks; fields are named and ordered as the columns."""

    run_id: UUID
    stream: str
    writer_id: int
    lines: int
    size: int
    time_min: int
    time_max: int
    codec: int
    content: bytes


async def write(connection: Connection, arrived: Iterable[Arrived]) -> None:
    """Write the texts among what is new."""
    rows: list[_ChunkRow] = []
    counts: list[tuple[UUID, str, int, int, int]] = []
    for new in arrived:
        by_stream: dict[str, list[Text]] = {}
        for record in new.records:
            if isinstance(record, Text):
                by_stream.setdefault(record.stream, []).append(record)
        for stream, texts in by_stream.items():
            chunks = list(gather(texts))
            rows += [
                _ChunkRow(
                    new.run_id,
                    stream,
                    new.writer_id,
                    len(chunk.lines),
                    chunk.size,
                    int(chunk.times_us.min()),
                    int(chunk.times_us.max()),
                    *pack(chunk),
                )
                for chunk in chunks
            ]
            lines, size = sum(len(chunk.lines) for chunk in chunks), sum(chunk.size for chunk in chunks)
            counts.append((new.run_id, stream, new.writer_id, lines, size))
    if rows:
        await connection.copy_records_to_table("text_chunks", records=rows, columns=_ChunkRow._fields)
        await connection.execute(_statements.count_lines, *map(list, zip(*counts, strict=True)))
