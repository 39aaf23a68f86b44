"""Compaction: what is read stays the same, point by point, before, after and meanwhile."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import AsyncIterator, Iterable
from datetime import timedelta
from itertools import chain

import pytest

from rekam_proto.tracking.v1 import metric_pb2
from rekam_tracking.metrics import charts, compaction, query, upkeep
from rekam_tracking.metrics.compaction import TILE_COLUMNS, TILE_ROWS
from tests.support.metrics import MetricStore, Row, SentFrame, expected, from_bits, metric_store

KEYS = ("loss", "acc")
ODD = [math.nan, -0.0, math.inf, -math.inf, 5e-324, from_bits(0x7FF8_0000_0000_BEEF)]


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[MetricStore]:
    async with metric_store(database_url) as opened:
        yield opened


def frame(
    run_id: str, sequence: int, rows: int = 3, keys: tuple[str, ...] = KEYS, writer: str = "w", seed: int = 0
) -> SentFrame:
    """Rows with ties, steps and times out of order, and every kind of value."""
    dice = random.Random(f"{seed} {writer} {sequence}")
    return SentFrame(
        run_id,
        keys,
        sequence,
        tuple(
            Row(
                dice.choice([sequence * rows + row, dice.randrange(50), -(2**63), 2**62]),
                dice.choice([1_000 * sequence + row, dice.randrange(50_000)]),
                tuple(dice.choice([dice.gauss(0, 1), dice.choice(ODD)]) for _ in keys),
            )
            for row in range(rows)
        ),
        writer,
    )


async def apply_singly(store: MetricStore, frames: Iterable[SentFrame]) -> None:
    for one in frames:
        await store.apply(one)


async def chunks(store: MetricStore, run_id: str) -> list[tuple[int, int]]:
    """Codec and rows of the run's chunks."""
    rows = await store.pool.fetch(
        "SELECT codec, rows FROM metric_chunks WHERE run_id = $1 ORDER BY chunk_id", run_id
    )
    return [(row["codec"], row["rows"]) for row in rows]


async def compact_quiet(store: MetricStore) -> None:
    """As when no more points come."""
    async with store.pool.acquire() as connection:
        for due in await compaction.find_due(connection, 100, quiet=timedelta()):
            for merge in await compaction.find_merges(connection, due):
                assert await compaction.merge(connection, due, merge)
            await compaction.looked_at(connection, due)


async def test_a_crowd_of_small_chunks_becomes_a_tile(store: MetricStore) -> None:
    run_id = await store.new_run()
    frames = [frame(run_id, n) for n in range(1, 71)]
    await apply_singly(store, frames)
    assert len(await chunks(store, run_id)) == 70
    assert await upkeep.compact(store.pool) == 1
    assert await chunks(store, run_id) == [(1, 210)]
    for key in KEYS:
        assert await store.series(run_id, key) == expected(frames, run_id, key)
    assert await upkeep.compact(store.pool) == 0
    async with store.reading() as connection:
        listed = await query.list_metrics(connection, run_id)
    assert {metric.key: metric.points for metric in listed.metrics} == {"acc": 210, "loss": 210}


async def test_few_chunks_wait_until_it_is_quiet(store: MetricStore) -> None:
    run_id = await store.new_run()
    frames = [frame(run_id, n) for n in range(1, 11)]
    await apply_singly(store, frames)
    assert await upkeep.compact(store.pool) == 0
    await compact_quiet(store)
    assert await chunks(store, run_id) == [(1, 30)]
    assert await store.series(run_id, "acc") == expected(frames, run_id, "acc")


async def test_tiles_are_bounded_and_merged_again(store: MetricStore) -> None:
    run_id = await store.new_run()
    frames = [frame(run_id, n, rows=900) for n in range(1, 8)]
    frames += [frame(run_id, n, rows=40) for n in range(8, 20)]
    await apply_singly(store, frames)
    await compact_quiet(store)
    await apply_singly(store, more := [frame(run_id, n, rows=30) for n in range(20, 24)])
    await compact_quiet(store)
    await apply_singly(store, late := [frame(run_id, n, rows=20) for n in range(24, 28)])
    await compact_quiet(store)
    found = await chunks(store, run_id)
    assert max(rows for _, rows in found) <= TILE_ROWS
    assert len(found) <= 4
    sent = [*frames, *more, *late]
    assert await store.series(run_id, "loss") == expected(sent, run_id, "loss")


async def test_wide_key_sets_are_cut_into_blocks_of_keys(store: MetricStore) -> None:
    run_id = await store.new_run()
    keys = tuple(f"k/{n}" for n in range(2 * TILE_COLUMNS + 5))
    frames = [frame(run_id, n, rows=2, keys=keys) for n in range(1, 9)]
    await apply_singly(store, frames)
    await compact_quiet(store)
    assert await chunks(store, run_id) == [(1, 16)] * 3
    for key in (keys[0], keys[TILE_COLUMNS - 1], keys[TILE_COLUMNS], keys[-1]):
        assert await store.series(run_id, key) == expected(frames, run_id, key)
    await apply_singly(store, later := [frame(run_id, n, rows=2, keys=keys) for n in range(9, 12)])
    await compact_quiet(store)
    await apply_singly(store, last := [frame(run_id, n, rows=2, keys=keys) for n in range(12, 14)])
    await compact_quiet(store)
    for key in (keys[1], keys[2 * TILE_COLUMNS], keys[-1]):
        assert await store.series(run_id, key) == expected([*frames, *later, *last], run_id, key)


async def test_writers_and_runs_are_kept_apart(store: MetricStore) -> None:
    runs = [await store.new_run() for _ in range(2)]
    frames = [frame(run, n, writer=w) for n in range(1, 8) for run in runs for w in ("v", "w")]
    await apply_singly(store, frames)
    await compact_quiet(store)
    for run in runs:
        assert await chunks(store, run) == [(1, 21), (1, 21)]
        assert await store.series(run, "loss") == expected(frames, run, "loss")
        request = metric_pb2.GetHistoryRequest(run_id=run, key="loss", writer="v")
        async with store.reading() as connection:
            answer = await query.history_page(connection, request)
        assert len(answer.points.values) == 8 * 21


async def test_charts_do_not_change(store: MetricStore) -> None:
    run_id = await store.new_run()
    await apply_singly(store, [frame(run_id, n, rows=20) for n in range(1, 20)])
    even = [
        SentFrame(run_id, ("even",), n, tuple(Row(s, s * 7, (math.sin(s),)) for s in range(n * 9, n * 9 + 9)))
        for n in range(20, 40)
    ]
    await apply_singly(store, even)

    async def drawn() -> list[metric_pb2.SeriesBuckets]:
        requests = [
            metric_pb2.GetBucketsRequest(axis=axis, buckets=17, x=x)
            for axis in (metric_pb2.AXIS_STEP, metric_pb2.AXIS_TIME, metric_pb2.AXIS_RELATIVE_TIME)
            for x in (None, metric_pb2.Range(**{"from": 100, "to": 20_000}))
        ]
        async with store.reading() as connection:
            return [
                series
                for request in requests
                for key in ("loss", "even")
                async for series in charts.buckets_of(connection, run_id, key, request)
            ]

    before = [one.SerializeToString(deterministic=True) for one in await drawn()]
    await compact_quiet(store)
    assert set(await chunks(store, run_id)) == {(1, 380), (1, 180)}
    after = [one.SerializeToString(deterministic=True) for one in await drawn()]
    # Means are sums in another order.
    assert [len(one) for one in after] == [len(one) for one in before]
    for old, new in zip(before, after, strict=True):
        left, right = metric_pb2.SeriesBuckets.FromString(old), metric_pb2.SeriesBuckets.FromString(new)
        assert list(left.mean) == pytest.approx(list(right.mean), nan_ok=True, rel=1e-12, abs=1e-12)
        left.ClearField("mean")
        right.ClearField("mean")
        assert left.SerializeToString(deterministic=True) == right.SerializeToString(deterministic=True)


async def test_two_that_merge_the_same_do_it_once(store: MetricStore) -> None:
    run_id = await store.new_run()
    frames = [frame(run_id, n) for n in range(1, 71)]
    await apply_singly(store, frames)
    merged = await asyncio.gather(*(upkeep.compact(store.pool) for _ in range(3)))
    assert sum(merged) == 1
    assert await store.series(run_id, "loss") == expected(frames, run_id, "loss")


async def test_a_merge_that_is_cut_off_changes_nothing(store: MetricStore) -> None:
    run_id = await store.new_run()
    frames = [frame(run_id, n) for n in range(1, 71)]
    await apply_singly(store, frames)
    async with store.pool.acquire() as connection:
        (due,) = await compaction.find_due(connection, 1)
        (merge,) = await compaction.find_merges(connection, due)
        transaction = connection.transaction()
        await transaction.start()
        assert await compaction.merge(connection, due, merge)
        await transaction.rollback()
    assert len(await chunks(store, run_id)) == 70
    assert await upkeep.compact(store.pool) == 1
    assert await store.series(run_id, "loss") == expected(frames, run_id, "loss")


async def test_ingestion_compaction_and_reads_at_once(store: MetricStore) -> None:
    runs = [await store.new_run() for _ in range(2)]
    frames = [frame(run, n, writer=w) for n in range(1, 101) for run in runs for w in ("v", "w")]
    done = asyncio.Event()
    merges = 0

    async def ingest() -> None:
        for first in range(0, len(frames), 2):
            await store.apply(*frames[first : first + 2], *frames[max(0, first - 5) : first])
        done.set()

    async def merge() -> None:
        nonlocal merges
        while not done.is_set():
            merges += await upkeep.compact(store.pool, crowded=8)

    async def read() -> None:
        whole = {run: set(expected(frames, run, "loss")) for run in runs}
        before = dict.fromkeys(runs, 0)
        while not done.is_set():
            for run in runs:
                points = await store.series(run, "loss")
                assert len(set(points) - whole[run]) == 0
                # Whole frames only, each once, and none that was there is gone.
                assert len(points) % 3 == 0
                assert len(points) >= before[run]
                before[run] = len(points)

    async with asyncio.TaskGroup() as tasks:
        for work in (ingest(), merge(), merge(), read()):
            tasks.create_task(work)
    assert merges > 0
    await compact_quiet(store)
    for run in runs:
        assert await store.series(run, "loss") == expected(frames, run, "loss")
    total = list(chain.from_iterable([await chunks(store, run) for run in runs]))
    assert sum(rows for _, rows in total) == 3 * len(frames)
