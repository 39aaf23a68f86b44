"""Points to rows: each frame counts once, every bit is kept, what cannot be read is set aside."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator

import pytest

from rekam_proto.event.v1.envelope_pb2 import Envelope
from rekam_proto.ingest.v1 import ingest_pb2, points_pb2, views_pb2
from rekam_proto.tracking.v1 import metric_pb2
from rekam_runtime.errors import Quarantine
from rekam_runtime.eventlog.envelope import Cause, type_name, wrap
from rekam_runtime.eventlog.port import Record
from rekam_tracking.metrics import query
from rekam_tracking.metrics.chunks import MAX_CHUNK_ROWS
from tests.support.metrics import (
    MetricStore,
    Row,
    SentFrame,
    bits,
    expected,
    from_bits,
    metric_store,
    record,
    stored,
)

KEYS = ("loss", "acc")


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[MetricStore]:
    async with metric_store(database_url) as opened:
        yield opened


def rows(first: int, number: int, columns: int = 2) -> tuple[Row, ...]:
    return tuple(
        Row(step, 1_000 * step, tuple(step + column / 10 for column in range(columns)))
        for step in range(first, first + number)
    )


async def completeness(store: MetricStore, run_id: str) -> list[metric_pb2.WriterCompleteness]:
    async with store.reading() as connection:
        return list((await query.completeness(connection, run_id, 60)).writers)


async def points_of(store: MetricStore, run_id: str) -> dict[str, int]:
    async with store.reading() as connection:
        answer = await query.list_metrics(connection, run_id)
    return {metric.key: metric.points for metric in answer.metrics}


async def test_every_point_is_there_once(store: MetricStore) -> None:
    run, other = await store.new_run(), await store.new_run()
    frames = [SentFrame(run, KEYS, n + 1, rows(10 * n, 10)) for n in range(5)]
    frames += [SentFrame(other, KEYS, n + 1, rows(7 * n, 7)) for n in range(3)]
    await store.apply(*frames[:3])
    await store.apply(*frames[3:])
    for run_id in (run, other):
        for key in KEYS:
            assert await store.series(run_id, key) == expected(frames, run_id, key)
    assert await points_of(store, run) == {"acc": 50, "loss": 50}
    assert await points_of(store, other) == {"acc": 21, "loss": 21}


async def test_of_a_text_and_a_frame_with_one_sequence_the_first_in_the_log_counts(
    store: MetricStore,
) -> None:
    """In one batch as in two: a rebuild has other batches, and must come to the same."""
    text = views_pb2.StoredTextView(stream="stdout", times_us=bytes(8), lines=["a"], writer="w", sequence=1)
    for batches in (1, 2):
        run = await store.new_run()
        text.run_id = bytes.fromhex(run)
        envelope = wrap(
            views_pb2.PointsAppendedView(records=[views_pb2.PointRecordView(text=text)]),
            Cause(),
            aggregate="",
        )
        envelope.type = type_name(points_pb2.PointsAppended)
        first = Record(1, "rekam.points.0", envelope.SerializeToString())
        second = record([stored(SentFrame(run, KEYS, 1, rows(0, 3)))], [KEYS], position=2)
        for batch in [[first, second]] if batches == 1 else [[first], [second]]:
            await store.apply_records(*batch)
        assert await points_of(store, run) == {}


async def test_every_bit_of_a_value_is_kept(store: MetricStore) -> None:
    run = await store.new_run()
    numbers = [math.inf, -math.inf, 0.0, -0.0, 5e-324, -5e-324, 1.7976931348623157e308, math.nan, -math.nan]
    payloads = [0x7FF8_0000_DEAD_BEEF, 0x7FF0_0000_0000_0001, 0xFFF8_0000_0000_0042]
    values = [*numbers, *map(from_bits, payloads)]
    steps = tuple(Row(step, 0, (value, -value)) for step, value in enumerate(values))
    await store.apply(SentFrame(run, KEYS, 1, steps))
    found = await store.series(run, "loss")
    assert [value for _, _, value in found] == [bits(value) for value in numbers] + payloads


@pytest.mark.parametrize(
    "steps", [(2**62, -(2**62), 0), (-(2**63), 2**63 - 1, -1), (3, 3, 3), (9, 5, 7), (0, 100, 200), (-4,)]
)
async def test_any_step_in_any_order(store: MetricStore, steps: tuple[int, ...]) -> None:
    run = await store.new_run()
    frame = SentFrame(run, KEYS, 1, tuple(Row(step, 50 - i, (i, -i)) for i, step in enumerate(steps)))
    await store.apply(frame)
    assert await store.series(run, "acc") == expected([frame], run, "acc")


async def test_a_frame_again_changes_nothing_however_late(store: MetricStore) -> None:
    run = await store.new_run()
    frames = [SentFrame(run, KEYS, n + 1, rows(10 * n, 10)) for n in range(20)]
    changed = SentFrame(run, KEYS, 3, rows(999, 4))
    await store.apply(frames[0], frames[0], frames[1], frames[2], frames[1])
    await store.apply(*frames)
    await store.apply(*reversed(frames), changed)
    assert await store.series(run, "loss") == expected(frames, run, "loss")
    (writer,) = await completeness(store, run)
    assert (writer.complete_up_to, writer.greatest, writer.points) == (20, 20, 400)
    assert await points_of(store, run) == {"acc": 200, "loss": 200}


async def test_gaps_are_shown_until_they_are_filled(store: MetricStore) -> None:
    run = await store.new_run()
    frames = {n: SentFrame(run, KEYS, n, rows(n, 1), rank=3) for n in range(1, 11)}
    await store.apply(frames[4], frames[5], frames[9])
    (writer,) = await completeness(store, run)
    assert (writer.writer, writer.rank, writer.complete_up_to, writer.greatest) == ("w", 3, 0, 9)
    assert [(gap.first, gap.last) for gap in writer.gaps] == [(1, 3), (6, 8)]
    await store.apply(frames[1], frames[2], frames[8])
    (writer,) = await completeness(store, run)
    assert writer.complete_up_to == 2
    assert [(gap.first, gap.last) for gap in writer.gaps] == [(3, 3), (6, 7)]
    await store.apply(*frames.values())
    (writer,) = await completeness(store, run)
    assert not writer.gaps
    assert (writer.complete_up_to, writer.greatest, writer.points) == (10, 10, 20)
    assert await store.series(run, "acc") == expected(frames.values(), run, "acc")


async def test_the_greatest_sequence(store: MetricStore) -> None:
    run = await store.new_run()
    await store.apply(SentFrame(run, KEYS, 2**63 - 2, rows(0, 1)), SentFrame(run, KEYS, 1, rows(1, 1)))
    (writer,) = await completeness(store, run)
    assert (writer.complete_up_to, writer.greatest) == (1, 2**63 - 2)


async def test_writers_share_a_run(store: MetricStore) -> None:
    run = await store.new_run()
    frames = [
        SentFrame(run, KEYS, n, rows(n, 5), writer=f"rank-{rank}", rank=rank)
        for n in range(1, 4)
        for rank in range(4)
    ]
    await store.apply(*frames[:7])
    await store.apply(*frames[5:])
    assert await store.series(run, "loss") == expected(frames, run, "loss")
    writers = await completeness(store, run)
    assert [(w.writer, w.rank, w.complete_up_to, w.points) for w in writers] == [
        (f"rank-{rank}", rank, 3, 30) for rank in range(4)
    ]


async def test_a_writer_without_a_rank(store: MetricStore) -> None:
    run = await store.new_run()
    await store.apply(SentFrame(run, KEYS, 1, rows(0, 1)))
    (writer,) = await completeness(store, run)
    assert not writer.HasField("rank")


async def test_a_key_in_several_key_sets_is_one_series(store: MetricStore) -> None:
    run = await store.new_run()
    sets = [KEYS, ("acc", "loss"), ("loss",), ("x", "y", "loss")]
    frames = [SentFrame(run, keys, n + 1, rows(5 * n, 5, len(keys))) for n, keys in enumerate(sets * 2)]
    await store.apply(*frames[:4])
    await store.apply(*frames[4:])
    assert await store.series(run, "loss") == expected(frames, run, "loss")
    assert await points_of(store, run) == {"acc": 20, "loss": 40, "x": 10, "y": 10}


async def test_wide_and_long_batches_are_cut_into_chunks(store: MetricStore) -> None:
    run = await store.new_run()
    long = [SentFrame(run, ("a",), n + 1, rows(20_000 * n, 20_000, 1)) for n in range(4)]
    await store.apply(*long)
    assert await store.series(run, "a", load_rows=30_000) == expected(long, run, "a")
    largest = await store.pool.fetchval("SELECT max(rows) FROM metric_chunks")
    assert largest <= MAX_CHUNK_ROWS


async def test_a_batch_that_fails_leaves_nothing(store: MetricStore) -> None:
    run = await store.new_run()
    good = SentFrame(run, KEYS, 1, rows(0, 3))
    bad = stored(SentFrame(run, ("never",), 2, rows(0, 3, 1)))
    with pytest.raises(Quarantine, match="never announced"):
        await store.apply_records(record([stored(good)], [KEYS]), record([bad], position=2))
    assert await completeness(store, run) == []
    await store.apply(good)
    assert await store.series(run, "loss") == expected([good], run, "loss")


def broken(**changes: object) -> Record:
    frame = stored(SentFrame("0" * 32, KEYS, 1, rows(0, 3)))
    for name, value in changes.items():
        setattr(frame, name, value)
    return record([frame], [KEYS])


def announcing(*keys: str, hash: bytes | None = None) -> Record:
    key_set = ingest_pb2.KeySet(hash=hash or query_hash(keys), keys=keys)
    event = views_pb2.PointsAppendedView(records=[views_pb2.PointRecordView(key_set=key_set)])
    envelope = wrap(event, Cause("test"), aggregate="")
    envelope.type = "rekam_proto.ingest.v1.PointsAppended"
    return Record(1, "s", envelope.SerializeToString())


def query_hash(keys: tuple[str, ...]) -> bytes:
    frame = SentFrame("0" * 32, keys, 1, (Row(0, 0, tuple(0.0 for _ in keys)),))
    return stored(frame).key_set


@pytest.mark.parametrize(
    ("malformed", "reason"),
    [
        (Record(1, "s", b"\xff\xff"), "cannot be read"),
        (Record(1, "s", Envelope(type="x.Y").SerializeToString()), "events"),
        (broken(run_id=b"short"), "run_id"),
        (broken(writer="a b"), "writer"),
        (broken(sequence=0), "sequence"),
        (broken(sequence=2**63), "sequence"),
        (broken(steps=b""), "steps"),
        (broken(steps=b"1234567"), "steps"),
        (broken(times_us=b"12345678"), "times_us"),
        (broken(values=b""), "values"),
        (broken(values=b"12345678" * 3), "values"),
        (broken(key_set=b"0" * 16), "never announced"),
        (announcing("a", "a"), "twice"),
        (announcing("a//b"), "clean relative path"),
        (announcing("a", hash=b"0" * 16), "hash"),
    ],
)
async def test_malformed_records_are_for_quarantine(
    store: MetricStore, malformed: Record, reason: str
) -> None:
    with pytest.raises(Quarantine, match=reason):
        await store.apply_records(malformed)
