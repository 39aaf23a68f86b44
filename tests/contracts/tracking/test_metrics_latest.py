"""Latest values: greatest step, then time, then value, NaN as 0; live, settled, and both at once."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rekam_proto.tracking.v1 import run_pb2
from rekam_tracking.metrics.settling import settle
from rekam_tracking.runs import query as runs_query
from tests.support.metrics import MetricStore, Row, SentFrame, metric_store

FINISHED = 3
SETS = [("a", "b"), ("b", "a"), ("b",), ("b", "c")]
values = st.sampled_from([0.0, 1.0, 2.0, -1.0, -2.0, math.nan, math.inf, -math.inf])


def frames_of(keys: tuple[str, ...]) -> st.SearchStrategy[SentFrame]:
    row = st.builds(Row, st.integers(-1, 2), st.integers(0, 2), st.tuples(*[values] * len(keys)))
    return st.builds(
        SentFrame,
        run_id=st.just(""),
        keys=st.just(keys),
        sequence=st.just(0),
        rows=st.lists(row, min_size=1, max_size=4).map(tuple),
        writer=st.sampled_from(["w", "v"]),
    )


batches = st.lists(
    st.tuples(
        st.lists(st.sampled_from(SETS).flatmap(frames_of), min_size=1, max_size=4),
        st.sampled_from(["", "settle", "end"]),
    ),
    min_size=1,
    max_size=5,
)


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[MetricStore]:
    async with metric_store(database_url) as opened:
        yield opened


def rank(value: float) -> float:
    return 0.0 if math.isnan(value) else value


def by_rule(frames: Iterable[SentFrame]) -> dict[str, tuple[int, int, float]]:
    """Step, time and rank of each key's latest point."""
    latest: dict[str, tuple[int, int, float]] = {}
    for frame in frames:
        for row in frame.rows:
            for key, value in zip(frame.keys, row.values, strict=True):
                point = (row.step, row.time_us, rank(value))
                latest[key] = max(latest.get(key, point), point)
    return latest


async def shown(store: MetricStore, run_id: str) -> dict[str, tuple[int, int, float]]:
    async with store.reading() as connection:
        run = await runs_query.get_run(connection, run_id)
    assert run is not None
    return {metric.key: (metric.step, metric.time_us, rank(metric.value)) for metric in run.metrics}


async def settled_rows(store: MetricStore, run_id: str) -> int:
    found: int = await store.pool.fetchval("SELECT count(*) FROM metric_latest WHERE run_id = $1", run_id)
    return found


async def live_rows(store: MetricStore, run_id: str) -> int:
    found: int = await store.pool.fetchval("SELECT count(*) FROM metric_live WHERE run_id = $1", run_id)
    return found


async def settle_all(store: MetricStore, quiet: timedelta = timedelta(hours=1)) -> int:
    taken = 0
    async with store.pool.acquire() as connection:
        while some := await settle(connection, max_values=3, quiet=quiet):
            taken += some
    return taken


async def end(store: MetricStore, run_id: str, status: int = FINISHED) -> None:
    await store.pool.execute("UPDATE runs SET status = $2 WHERE run_id = $1", run_id, status)


@given(batches)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_the_rule_holds_live_settled_and_between(
    store: MetricStore, drawn: list[tuple[list[SentFrame], str]]
) -> None:
    run_id = await store.new_run()
    sent: list[SentFrame] = []
    for batch, then in drawn:
        placed = [replace(frame, run_id=run_id, sequence=len(sent) + n + 1) for n, frame in enumerate(batch)]
        sent += placed
        await store.apply(*placed)
        assert await shown(store, run_id) == by_rule(sent)
        if then == "end":
            await end(store, run_id)
        if then:
            await settle_all(store)
            assert await shown(store, run_id) == by_rule(sent)


@pytest.mark.parametrize("status", ["FINISHED", "FAILED", "KILLED", "CRASHED"])
async def test_a_run_that_ended_has_no_live_rows(store: MetricStore, status: str) -> None:
    run_id, going_on = await store.new_run(), await store.new_run()
    for run in (run_id, going_on):
        await store.apply(
            SentFrame(run, ("a", "b"), 1, (Row(1, 1, (1.0, 2.0)),)),
            SentFrame(run, ("b", "c"), 2, (Row(2, 1, (3.0, 4.0)),)),
        )
    await end(store, run_id, run_pb2.RunStatus.Value(f"RUN_STATUS_{status}"))
    assert await settle_all(store) == 2
    assert (await live_rows(store, run_id), await settled_rows(store, run_id)) == (0, 3)
    assert (await live_rows(store, going_on), await settled_rows(store, going_on)) == (2, 0)
    assert await shown(store, run_id) == await shown(store, going_on)
    assert await settle_all(store) == 0


async def test_a_quiet_run_is_settled_too(store: MetricStore) -> None:
    run_id = await store.new_run()
    await store.apply(SentFrame(run_id, ("a",), 1, (Row(1, 1, (1.0,)),)))
    assert await settle_all(store) == 0
    assert await settle_all(store, quiet=timedelta()) == 1
    await store.apply(SentFrame(run_id, ("a",), 2, (Row(0, 9, (5.0,)),)))
    assert await shown(store, run_id) == {"a": (1, 1, 1.0)}
    await store.apply(SentFrame(run_id, ("a",), 3, (Row(2, 0, (7.0,)),)))
    assert await shown(store, run_id) == {"a": (2, 0, 7.0)}


async def test_rows_that_are_being_written_are_passed_over(store: MetricStore) -> None:
    run_id = await store.new_run()
    await store.apply(SentFrame(run_id, ("a",), 1, (Row(1, 1, (1.0,)),)))
    await end(store, run_id)
    async with store.pool.acquire() as writing, writing.transaction():
        await writing.execute("SELECT FROM metric_live WHERE run_id = $1 FOR UPDATE", run_id)
        assert await settle_all(store) == 0
    assert await settle_all(store) == 1
