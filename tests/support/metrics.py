"""Points for tests: frames as they lie in the log, applied to a real Postgres, and read back.

What was sent is kept as plain tuples beside it, so that a test can say what must come out.
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import numpy as np

from rekam_proto.ingest.v1 import ingest_pb2, points_pb2, views_pb2
from rekam_proto.tracking.v1 import metric_pb2
from rekam_runtime.eventlog.envelope import Cause, type_name, wrap
from rekam_runtime.eventlog.port import Record
from rekam_runtime.names import key_set_hash
from rekam_runtime.postgres import Connection, Pool, connect_pool, migrate
from rekam_tracking.metrics.points import Bounds, Points, join
from rekam_tracking.metrics.series import read_ordered
from rekam_tracking.points import PointsProjection

# time, step, value as its 64 bits
Point = tuple[int, int, int]


def bits(value: float) -> int:
    return int.from_bytes(struct.pack("<d", value), "little")


def from_bits(number: int) -> float:
    value: float = struct.unpack("<d", number.to_bytes(8, "little"))[0]
    return value


def place(point: Point) -> tuple[int, int, int]:
    """Where a point stands in a series: by time, step and value, values as IEEE totalOrder."""
    time_us, step, value = point
    return time_us, step, value ^ (2**64 - 1) if value >> 63 else value | 2**63


@dataclass(frozen=True)
class Row:
    """One log call: a value for each key."""

    step: int
    time_us: int
    values: tuple[float, ...]


@dataclass(frozen=True)
class SentFrame:
    run_id: str
    keys: tuple[str, ...]
    sequence: int
    rows: tuple[Row, ...]
    writer: str = "w"
    rank: int | None = None


def stored(frame: SentFrame) -> views_pb2.StoredFrameView:
    rows = frame.rows
    matrix = np.array([row.values for row in rows], "<f8").T
    return views_pb2.StoredFrameView(
        run_id=bytes.fromhex(frame.run_id),
        sequence=frame.sequence,
        key_set=key_set_hash(frame.keys),
        steps=np.array([row.step for row in rows], "<i8").tobytes(),
        times_us=np.array([row.time_us for row in rows], "<i8").tobytes(),
        values=np.ascontiguousarray(matrix).tobytes(),
        writer=frame.writer,
        rank=frame.rank,
    )


@dataclass(frozen=True)
class SentText:
    """lines: each with its time in microseconds."""

    run_id: str
    sequence: int
    lines: tuple[tuple[int, str], ...]
    stream: str = "stdout"
    writer: str = "w"
    rank: int | None = None


def stored_text(text: SentText) -> views_pb2.PointRecordView:
    return views_pb2.PointRecordView(
        text=views_pb2.StoredTextView(
            run_id=bytes.fromhex(text.run_id),
            sequence=text.sequence,
            stream=text.stream,
            times_us=np.array([time_us for time_us, _ in text.lines], "<i8").tobytes(),
            lines=[line for _, line in text.lines],
            writer=text.writer,
            rank=text.rank,
        )
    )


def heartbeat(
    run_id: str, writer: str = "w", rank: int | None = None, interval_ms: int = 15_000
) -> views_pb2.PointRecordView:
    seen = points_pb2.WriterSeen(
        run_id=bytes.fromhex(run_id), interval_ms=interval_ms, writer=writer, rank=rank
    )
    return views_pb2.PointRecordView(seen=seen)


def record(
    frames: Iterable[views_pb2.StoredFrameView],
    key_sets: Iterable[Sequence[str]] = (),
    position: int = 1,
    *,
    others: Iterable[views_pb2.PointRecordView] = (),
    time_us: int | None = None,
) -> Record:
    """A PointsAppended as a gateway appends it; others: texts and heartbeats; time_us: its clock."""
    announced = [
        views_pb2.PointRecordView(key_set=ingest_pb2.KeySet(hash=key_set_hash(keys), keys=keys))
        for keys in key_sets
    ]
    sent = [views_pb2.PointRecordView(frame=frame) for frame in frames]
    event = views_pb2.PointsAppendedView(records=[*announced, *sent, *others])
    envelope = wrap(event, Cause("test"), aggregate="")
    if time_us is not None:
        envelope.time_us = time_us
    envelope.type = type_name(points_pb2.PointsAppended)
    return Record(position, "rekam.points.0", envelope.SerializeToString())


@dataclass
class MetricStore:
    """A database with a projection that writes to it."""

    pool: Pool
    projection: PointsProjection = field(default_factory=PointsProjection)

    async def new_run(self, status: int = 1) -> str:
        run_id = uuid.uuid4().hex
        await self.pool.execute(
            "INSERT INTO runs (run_id, experiment_id, name, status, artifact_uri)"
            " VALUES ($1, 0, 'n', $2, '')",
            run_id,
            status,
        )
        return run_id

    async def apply(self, *frames: SentFrame) -> None:
        """One batch, one transaction; every key set is announced with it."""
        await self.apply_records(record(map(stored, frames), dict.fromkeys(frame.keys for frame in frames)))

    async def apply_records(self, *records: Record) -> None:
        async with self.pool.acquire() as connection:
            try:
                async with connection.transaction():
                    await self.projection.apply(connection, records)
            except BaseException:
                self.projection.forget()
                raise

    async def series(
        self, run_id: str, key: str, bounds: Bounds | None = None, load_rows: int = 1000
    ) -> list[Point]:
        """A whole series, in the order it is read."""
        async with self.reading() as connection:
            parts = [
                part
                async for part in read_ordered(
                    connection, uuid.UUID(run_id), key, bounds or Bounds(), load_rows
                )
            ]
        return as_tuples(join(parts))

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Connection]:
        async with (
            self.pool.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            yield connection


@asynccontextmanager
async def metric_store(database_url: str) -> AsyncIterator[MetricStore]:
    await migrate(database_url, "rekam_tracking")
    pool = await connect_pool(database_url, application_name="metric tests")
    try:
        yield MetricStore(pool)
    finally:
        await pool.close()


def as_tuples(points: Points) -> list[Point]:
    values = points.values.view(np.uint64).tolist()
    return list(zip(points.times_us.tolist(), points.steps.tolist(), values, strict=True))


def view_tuples(view: metric_pb2.PointsView) -> list[Point]:
    """The points of an answer, from its bytes."""
    return as_tuples(
        Points(
            np.frombuffer(view.steps, "<i8"),
            np.frombuffer(view.times_us, "<i8"),
            np.frombuffer(view.values, "<f8"),
        )
    )


def expected(frames: Iterable[SentFrame], run_id: str, key: str) -> list[Point]:
    """What a series must be: every frame once, in the order of time, step, value."""
    first: dict[tuple[str, int], SentFrame] = {}
    for frame in frames:
        if frame.run_id == run_id:
            first.setdefault((frame.writer, frame.sequence), frame)
    return sorted(
        (
            (row.time_us, row.step, bits(row.values[frame.keys.index(key)]))
            for frame in first.values()
            if key in frame.keys
            for row in frame.rows
        ),
        key=place,
    )
