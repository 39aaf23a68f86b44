"""Frames that are new: each counts once, however often and however late it arrives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from rekam_runtime.postgres import Connection, Statements
from rekam_tracking.metrics.frames import WORD, Frame
from rekam_tracking.metrics.received import SequenceSpan, contains, multirange, spans

_statements = Statements.load("rekam_tracking.metrics", "projection.sql")


@dataclass(slots=True)
class NewFrames:
    """What is new of one writer, in the order of arrival."""

    writer_id: int
    run_id: UUID
    frames: list[Frame] = field(default_factory=list)


@dataclass(slots=True)
class _Sent:
    """Frames of one (run, writer) in a batch, by sequence: the first of equals."""

    run_id: UUID
    writer: str
    rank: int | None
    frames: dict[int, Frame] = field(default_factory=dict)


async def receive(connection: Connection, frames: Sequence[Frame]) -> list[NewFrames]:
    """Note the frames as received; answers those that were not before.

    The rows of their writers stay locked until the transaction ends.
    """
    sent: dict[tuple[bytes, str], _Sent] = {}
    for frame in frames:
        place = (frame.run_id, frame.writer)
        if (one := sent.get(place)) is None:
            one = sent[place] = _Sent(UUID(bytes=frame.run_id), frame.writer, frame.rank)
        one.frames.setdefault(frame.sequence, frame)
    found: list[NewFrames] = []
    for writer_id, one, ranges in await _lock(connection, list(sent.values())):
        new = [frame for sequence, frame in one.frames.items() if not contains(ranges, sequence)]
        if new:
            found.append(NewFrames(writer_id, one.run_id, new))
    if found:
        await connection.execute(
            _statements.receive,
            [new.writer_id for new in found],
            [multirange(spans(frame.sequence for frame in new.frames)) for new in found],
            [sum(len(frame.values) for frame in new.frames) // WORD for new in found],
        )
    return found


async def _lock(connection: Connection, sent: Sequence[_Sent]) -> list[tuple[int, _Sent, list[SequenceSpan]]]:
    """Writers with what they have sent before, locked; those never seen are added."""
    run_ids, writers = [one.run_id for one in sent], [one.writer for one in sent]
    rows = await connection.fetch(_statements.lock_writers, run_ids, writers)
    if len(rows) < len(sent):
        await connection.execute(_statements.add_writers, run_ids, writers, [one.rank for one in sent])
        rows = await connection.fetch(_statements.lock_writers, run_ids, writers)
    by_place = {(one.run_id, one.writer): one for one in sent}
    return [
        (
            row["writer_id"],
            by_place[row["run_id"], row["writer"]],
            [(span.lower, span.upper) for span in row["received"]],
        )
        for row in rows
    ]
