"""Texts of two generations held against each other: lines and times of each writer, in their order."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from uuid import UUID

from rekam_runtime.postgres import Connection, Statements
from rekam_runtime.rebuild.comparing import Comparison, Digest, by_statement
from rekam_tracking.texts.chunks import unpack

_statements = Statements.load("rekam_tracking.texts", "comparing.sql")
# Of some 256 KiB each.
_PREFETCHED = 32


class _Written:
    """What one writer wrote to a stream of a run, in a hash that goes on from chunk to chunk."""

    def __init__(self, stream: str, writer: str) -> None:
        name = f"{stream}\0{writer}".encode()
        self._times = hashlib.blake2b(name, digest_size=8)
        self._lines = hashlib.blake2b(name, digest_size=8)

    def add(self, codec: int, content: bytes) -> int:
        """Answers the number of lines."""
        block = unpack(codec, content)
        self._times.update(block.times_us)
        # A line has no NUL that could not be told from this one by the number of lines.
        self._lines.update("\0".join([*block.lines, ""]).encode())
        return len(block.lines)

    @property
    def checksum(self) -> int:
        return sum(int.from_bytes(one.digest(), "little") for one in (self._times, self._lines))


async def _texts(connection: Connection) -> AsyncIterator[Digest]:
    run_id: UUID | None = None
    lines = 0
    written: dict[tuple[str, str], _Written] = {}
    async for row in connection.cursor(_statements.chunks, prefetch=_PREFETCHED):
        if row["run_id"] != run_id:
            if run_id is not None:
                yield _digest(run_id, lines, written)
            run_id, lines, written = row["run_id"], 0, {}
        place = (row["stream"], row["writer"])
        if place not in written:
            written[place] = _Written(*place)
        lines += written[place].add(row["codec"], row["content"])
    if run_id is not None:
        yield _digest(run_id, lines, written)


def _digest(run_id: UUID, lines: int, written: dict[tuple[str, str], _Written]) -> Digest:
    return Digest(f"run {run_id}", lines, sum(one.checksum for one in written.values()))


COMPARISONS = [by_statement("text streams", _statements.text_streams), Comparison("texts", _texts)]
