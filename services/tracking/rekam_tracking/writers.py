"""Writers of runs: what they send counts once, however often and however late it arrives."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from rekam_proto.ingest.v1 import points_pb2
from rekam_runtime import names
from rekam_runtime.errors import Quarantine
from rekam_runtime.postgres import Connection, Statements
from rekam_tracking.received import SequenceSpan, contains, multirange, spans

_statements = Statements.load("rekam_tracking", "writers.sql")
_MAX_INTERVAL_MS = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Sent:
    """A record of a writer, in its one count for a run. heard_us: when a gateway had it."""

    run_id: bytes
    writer: str
    rank: int | None
    sequence: int
    heard_us: int

    @property
    def points(self) -> int:
        return 0


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A writer was alive."""

    run_id: bytes
    writer: str
    rank: int | None
    interval_ms: int
    heard_us: int


@dataclass(slots=True)
class Arrived:
    """What is new of one writer, in the order of arrival."""

    writer_id: int
    run_id: UUID
    records: list[Sent]


@dataclass(slots=True)
class _Heard:
    """What a batch has of one (run, writer): records by sequence, the first of equals."""

    run_id: UUID
    writer: str
    rank: int | None
    heard_us: int
    beat: Heartbeat | None = None  # the last
    records: dict[int, Sent] = field(default_factory=dict)


def heartbeat_of(seen: points_pb2.WriterSeen, heard_us: int) -> Heartbeat:
    """Raises Quarantine when it is malformed."""
    check_writer(seen.run_id, seen.writer, "seen")
    if not 1 <= seen.interval_ms <= _MAX_INTERVAL_MS:
        raise Quarantine(f"seen.interval_ms is 1 to {_MAX_INTERVAL_MS}, this one is {seen.interval_ms}")
    rank = seen.rank if seen.HasField("rank") else None
    return Heartbeat(seen.run_id, seen.writer, rank, seen.interval_ms, heard_us)


def check_writer(run_id: bytes, writer: str, kind: str) -> None:
    """Raises Quarantine for what no gateway appends. kind: of the record."""
    if len(run_id) != 16:
        raise Quarantine(f"{kind}.run_id has 16 bytes, this one has {len(run_id)}")
    if fault := names.writer_fault(writer):
        raise Quarantine(f"{kind}.writer: {fault}")


def check_sequence(sequence: int, kind: str) -> None:
    if not 1 <= sequence <= names.MAX_SEQUENCE:
        raise Quarantine(f"{kind}.sequence is 1 to {names.MAX_SEQUENCE}, this one is {sequence}")


async def receive(
    connection: Connection, records: Iterable[Sent], heartbeats: Sequence[Heartbeat] = ()
) -> list[Arrived]:
    """Note records as received and writers as heard; answers the records that are new.

    The rows of their writers stay locked until the transaction ends.
    """
    heard: dict[tuple[bytes, str], _Heard] = {}
    for record in records:
        _hear(heard, record).records.setdefault(record.sequence, record)
    for heartbeat in heartbeats:
        _hear(heard, heartbeat).beat = heartbeat
    if not heard:
        return []
    arrived: list[Arrived] = []
    writers: list[_Heard] = []
    for writer_id, one, ranges in await _lock(connection, list(heard.values())):
        new = [record for sequence, record in one.records.items() if not contains(ranges, sequence)]
        arrived.append(Arrived(writer_id, one.run_id, new))
        writers.append(one)
    await connection.execute(
        _statements.receive,
        [one.writer_id for one in arrived],
        [multirange(spans(record.sequence for record in one.records)) for one in arrived],
        [sum(record.points for record in one.records) for one in arrived],
        [one.heard_us for one in writers],
        [one.beat.heard_us if one.beat else None for one in writers],
        [one.beat.interval_ms if one.beat else None for one in writers],
    )
    if heartbeats:
        run_ids = {heartbeat.run_id for heartbeat in heartbeats}
        await connection.execute(_statements.watch, [UUID(bytes=run_id) for run_id in sorted(run_ids)])
    return [one for one in arrived if one.records]


def _hear(heard: dict[tuple[bytes, str], _Heard], said: Sent | Heartbeat) -> _Heard:
    place = (said.run_id, said.writer)
    if (one := heard.get(place)) is None:
        one = heard[place] = _Heard(UUID(bytes=said.run_id), said.writer, said.rank, said.heard_us)
    one.heard_us = max(one.heard_us, said.heard_us)
    return one


async def _lock(
    connection: Connection, heard: Sequence[_Heard]
) -> list[tuple[int, _Heard, list[SequenceSpan]]]:
    """Writers with what they have sent before, locked; those never seen are added."""
    run_ids, writers = [one.run_id for one in heard], [one.writer for one in heard]
    rows = await connection.fetch(_statements.lock_writers, run_ids, writers)
    if len(rows) < len(heard):
        await connection.execute(_statements.add_writers, run_ids, writers, [one.rank for one in heard])
        rows = await connection.fetch(_statements.lock_writers, run_ids, writers)
    by_place = {(one.run_id, one.writer): one for one in heard}
    return [
        (
            row["writer_id"],
            by_place[row["run_id"], row["writer"]],
            [(span.lower, span.upper) for span in row["received"]],
        )
        for row in rows
    ]
