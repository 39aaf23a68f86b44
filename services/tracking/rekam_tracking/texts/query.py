"""Questions about texts, answered from the chunks: which lines, from where on, at most how many.

Chunks are only ever added, at the end: a place in a stream stays what it is (in one generation
of the projection), so every part of an answer may be read by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rekam_proto.tracking.v1 import text_pb2
from rekam_runtime.errors import Retry
from rekam_runtime.postgres import Connection, Row, Statements
from rekam_runtime.postgres.generations import number_of
from rekam_tracking.ranges import INT64_MAX, INT64_MIN
from rekam_tracking.texts.chunks import TIME, unpack

# Chunks read at a time: so many, and with the last no more than so many bytes of lines.
READ_CHUNKS = 1_024
READ_BYTES = 1024 * 1024
# A page ends with the block that takes it past this.
PAGE_BYTES = 2 * 1024 * 1024
_statements = Statements.load("rekam_tracking.texts", "query.sql")


@dataclass(frozen=True, slots=True)
class Asked:
    """Lines of one stream of a run. writer: empty for all; rank: None for all; times are inclusive."""

    run_id: str
    stream: str
    writer: str = ""
    rank: int | None = None
    time_from: int = INT64_MIN
    time_to: int = INT64_MAX


class Place(NamedTuple):
    """A line of a stream: the chunk, and the line's number within it.

    Chunks are those of one generation of the projection: 0 for the first place, which all have.
    """

    chunk_id: int
    line: int
    generation: int = 0


BEGINNING = Place(0, 0)


@dataclass(frozen=True, slots=True)
class Found:
    """Lines that were asked for, of one chunk. numbers: of the lines, within the chunk."""

    chunk_id: int
    numbers: npt.NDArray[np.intp]
    block: text_pb2.TextBlockView

    def place(self, index: int, generation: int) -> Place:
        return Place(self.chunk_id, int(self.numbers[index]), generation)

    def first(self, count: int) -> text_pb2.TextBlockView:
        """The block, or its first lines."""
        return self.block if count >= len(self.numbers) else _pick(self.block, np.arange(count))


async def list_texts(connection: Connection, run_id: str) -> text_pb2.ListTextsResponse:
    response = text_pb2.ListTextsResponse()
    for row in await connection.fetch(_statements.list_texts, run_id):
        response.texts.add(**dict(row))
    return response


@dataclass(frozen=True, slots=True)
class Part:
    """Some of what was asked for, in order. following: the place behind it; more: there may be lines."""

    found: list[Found]
    following: Place
    more: bool


async def read(connection: Connection, asked: Asked, place: Place) -> Part:
    """A bounded part of the lines from a place on.

    Raises Retry when the place is of another generation: the projection was rebuilt.
    """
    generation = await number_of(connection)
    if place.generation not in (0, generation):
        raise Retry("the projection was rebuilt, and its lines have other places now: begin again")
    rows = await connection.fetch(_statements.chunks, *_arguments(asked), place.chunk_id)
    following = Place(rows[-1]["chunk_id"] + 1, 0, generation) if rows else place
    return Part(list(_found(rows, asked, place)), following, bool(rows))


async def tail(connection: Connection, asked: Asked, lines: int) -> Place:
    """Where the last so many lines begin."""
    before, generation = INT64_MAX, await number_of(connection)
    while True:
        rows = await connection.fetch(_statements.chunks_backwards, *_arguments(asked), before)
        for found in _found(rows, asked, BEGINNING):
            if len(found.numbers) >= lines:
                return found.place(-lines, generation)
            lines -= len(found.numbers)
        if not rows:
            return BEGINNING
        before = rows[-1]["chunk_id"]


async def page(
    connection: Connection, asked: Asked, place: Place, size: int
) -> tuple[list[text_pb2.TextBlockView], Place | None]:
    """At most `size` lines from a place on, and the place of the next line there is."""
    blocks: list[text_pb2.TextBlockView] = []  # of a chunk each
    left, left_bytes = size, PAGE_BYTES
    more = True
    while more:
        part = await read(connection, asked, place)
        place, more = part.following, part.more
        for found in part.found:
            if left == 0 or left_bytes <= 0:
                return blocks, found.place(0, place.generation)
            block = found.first(left)
            blocks.append(block)
            if left < len(found.numbers):
                return blocks, found.place(left, place.generation)
            left -= len(found.numbers)
            left_bytes -= block.ByteSize()
    return blocks, None


def joined(blocks: Iterable[text_pb2.TextBlockView]) -> Iterator[text_pb2.TextBlockView]:
    """Blocks that follow each other and are of the same writer as one."""
    for _, some in groupby(blocks, lambda block: block.writer):
        first, *others = some
        if others:
            first.times_us = b"".join([first.times_us, *(block.times_us for block in others)])
            first.lines.extend(line for block in others for line in block.lines)
        yield first


def _arguments(asked: Asked) -> tuple[str, str, str, int | None, int, int, int, int]:
    return (
        asked.run_id,
        asked.stream,
        asked.writer,
        asked.rank,
        asked.time_from,
        asked.time_to,
        READ_CHUNKS,
        READ_BYTES,
    )


def _found(rows: list[Row], asked: Asked, place: Place) -> Iterator[Found]:
    """What is asked for in these chunks, each in turn; nothing of a chunk that has none of it."""
    for row in rows:
        block = unpack(row["codec"], row["content"])
        times_us = np.frombuffer(block.times_us, TIME)
        wanted = (times_us >= asked.time_from) & (times_us <= asked.time_to)
        if row["chunk_id"] == place.chunk_id:
            wanted[: place.line] = False
        numbers = np.flatnonzero(wanted)
        if not len(numbers):
            continue
        if len(numbers) < len(times_us):
            block = _pick(block, numbers)
        block.writer = row["writer"]
        if row["rank"] is not None:
            block.rank = row["rank"]
        yield Found(row["chunk_id"], numbers, block)


def _pick(block: text_pb2.TextBlockView, numbers: npt.NDArray[np.intp]) -> text_pb2.TextBlockView:
    times_us = np.frombuffer(block.times_us, TIME)[numbers]
    lines = block.lines
    picked = text_pb2.TextBlockView(
        writer=block.writer, times_us=times_us.tobytes(), lines=[lines[number] for number in numbers]
    )
    if block.HasField("rank"):
        picked.rank = block.rank
    return picked
