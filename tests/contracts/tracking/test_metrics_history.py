"""Histories: whole series in one order, by pages and in blocks, within bounds; stable tokens."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import chain

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rekam_proto.tracking.v1 import metric_pb2
from rekam_runtime.errors import Invalid
from rekam_tracking.metrics import query, upkeep
from tests.support.metrics import (
    MetricStore,
    Point,
    Row,
    SentFrame,
    expected,
    from_bits,
    metric_store,
    view_tuples,
)

KEYS = ("a", "b")
# Few of each, so that there are ties of every kind.
steps = st.one_of(st.integers(0, 3), st.sampled_from([-(2**63), -1, 2**62, 2**63 - 1]))
times = st.one_of(st.integers(0, 3), st.sampled_from([-(2**63), 2**63 - 1]))
values = st.sampled_from(
    [0.0, -0.0, 1.0, -1.0, math.inf, -math.inf, math.nan, from_bits(0xFFF8_0000_0000_0001), 5e-324]
)
rows = st.builds(Row, steps, times, st.tuples(values, values))
frames = st.lists(
    st.builds(
        SentFrame,
        run_id=st.just(""),
        keys=st.sampled_from([KEYS, ("b", "a")]),
        sequence=st.integers(1, 9),
        rows=st.lists(rows, min_size=1, max_size=6).map(tuple),
        writer=st.sampled_from(["w", "v"]),
    ),
    min_size=1,
    max_size=8,
)


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[MetricStore]:
    async with metric_store(database_url) as opened:
        yield opened


async def sent(store: MetricStore, drawn: list[SentFrame], batches: int = 3) -> tuple[str, list[SentFrame]]:
    """The frames in some batches, in a run of their own."""
    run_id = await store.new_run()
    placed = [replace(frame, run_id=run_id) for frame in drawn]
    size = max(1, len(placed) // batches)
    for first in range(0, len(placed), size):
        await store.apply(*placed[first : first + size])
    return run_id, placed


async def pages(store: MetricStore, request: metric_pb2.GetHistoryRequest) -> list[list[Point]]:
    """All pages from the request's on."""
    found: list[list[Point]] = []
    while True:
        async with store.reading() as connection:
            answer = await query.history_page(connection, request)
        found.append(view_tuples(answer.points))
        if not answer.next_page_token:
            return found
        request.page_token = answer.next_page_token


def flat(found: list[list[Point]]) -> list[Point]:
    return list(chain.from_iterable(found))


async def blocks(
    store: MetricStore, request: metric_pb2.StreamHistoryRequest
) -> list[metric_pb2.HistoryBlockView]:
    async with store.reading() as connection:
        return [block async for block in query.stream_history(connection, request)]


@given(frames, st.integers(1, 9))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_pages_are_the_series_cut(store: MetricStore, drawn: list[SentFrame], size: int) -> None:
    run_id, placed = await sent(store, drawn)
    whole = expected(placed, run_id, "a")
    assert await store.series(run_id, "a", load_rows=3) == whole
    found = await pages(store, metric_pb2.GetHistoryRequest(run_id=run_id, key="a", page_size=size))
    assert flat(found) == whole
    assert {len(page) for page in found[:-1]} <= {size}


@given(
    frames,
    st.tuples(times, times).map(sorted),
    st.tuples(steps, steps).map(sorted),
    st.sampled_from(["", "w", "x"]),
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_bounds_are_inclusive(
    store: MetricStore, drawn: list[SentFrame], time: list[int], step: list[int], writer: str
) -> None:
    run_id, placed = await sent(store, drawn)
    request = metric_pb2.GetHistoryRequest(
        run_id=run_id,
        key="a",
        steps=metric_pb2.Range(**{"from": step[0], "to": step[1]}),
        times_us=metric_pb2.Range(**{"from": time[0], "to": time[1]}),
        writer=writer,
        page_size=3,
    )
    written = [frame for frame in placed if writer in ("", frame.writer)]
    assert flat(await pages(store, request)) == [
        (t, s, v)
        for t, s, v in expected(written, run_id, "a")
        if time[0] <= t <= time[1] and step[0] <= s <= step[1]
    ]


@given(frames, st.integers(1, 4))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_distinct_points_count_once_also_across_pages(
    store: MetricStore, drawn: list[SentFrame], size: int
) -> None:
    again = [replace(frame, writer="again", sequence=n) for n, frame in enumerate(drawn, start=1)]
    run_id, placed = await sent(store, [*drawn, *again])
    whole = list(dict.fromkeys(expected(placed, run_id, "a")))
    request = metric_pb2.GetHistoryRequest(run_id=run_id, key="a", page_size=size, distinct=True)
    found = await pages(store, request)
    assert flat(found) == whole
    assert {len(page) for page in found[:-1]} <= {size}
    streamed = metric_pb2.StreamHistoryRequest(run_ids=[run_id], keys=["a"], distinct=True)
    assert flat([view_tuples(block.points) for block in await blocks(store, streamed)]) == whole


async def test_a_page_goes_on_where_the_last_ended_whatever_came_between(store: MetricStore) -> None:
    run_id = await store.new_run()
    first = [
        SentFrame(run_id, KEYS, n + 1, tuple(Row(s, 5, (1.0, 2.0)) for s in range(3))) for n in range(70)
    ]
    for frame in first:
        await store.apply(frame)
    request = metric_pb2.GetHistoryRequest(run_id=run_id, key="a", page_size=100)
    async with store.reading() as connection:
        answer = await query.history_page(connection, request)
    request.page_token = answer.next_page_token
    assert await upkeep.compact(store.pool) > 0
    earlier = SentFrame(run_id, KEYS, 71, (Row(0, 4, (9.0, 9.0)),))
    await store.apply(earlier)
    rest = await pages(store, request)
    assert view_tuples(answer.points) + flat(rest) == expected(first, run_id, "a")


async def test_a_token_is_good_for_its_query_only(store: MetricStore) -> None:
    run_id = await store.new_run()
    await store.apply(SentFrame(run_id, KEYS, 1, tuple(Row(s, s, (1.0, 2.0)) for s in range(5))))
    async with store.reading() as connection:
        request = metric_pb2.GetHistoryRequest(run_id=run_id, key="a", page_size=2)
        token = (await query.history_page(connection, request)).next_page_token
        other = metric_pb2.GetHistoryRequest(run_id=run_id, key="b", page_size=2, page_token=token)
        with pytest.raises(Invalid, match="another query") as refused:
            await query.history_page(connection, other)
        assert refused.value.field == "page_token"
        for wrong in ("x", "AAAA", token[:-4], token + "AAAA", "ä", "!" * 56):
            with pytest.raises(Invalid, match="page token"):
                await query.history_page(
                    connection, metric_pb2.GetHistoryRequest(run_id=run_id, key="a", page_token=wrong)
                )


async def test_streams_go_run_by_run_and_key_by_key(store: MetricStore) -> None:
    runs = [await store.new_run() for _ in range(2)]
    sent_frames = [
        SentFrame(run, KEYS, n + 1, tuple(Row(s, s, (s, -s)) for s in range(30_000 * n, 30_000 * (n + 1))))
        for run in runs
        for n in range(3)
    ]
    for frame in sent_frames:
        await store.apply(frame)
    request = metric_pb2.StreamHistoryRequest(run_ids=runs, keys=["b", "never", "a"])
    found = await blocks(store, request)
    assert max(len(block.points.values) // 8 for block in found) <= query.BLOCK_POINTS
    asked = [(run, key) for run in runs for key in ("b", "a")]
    assert list(dict.fromkeys((block.run_id, block.key) for block in found)) == asked
    for run, key in asked:
        series = [view_tuples(b.points) for b in found if (b.run_id, b.key) == (run, key)]
        assert flat(series) == expected(sent_frames, run, key)


async def test_a_long_series_is_read_in_parts_that_overlap(store: MetricStore) -> None:
    """Writers whose chunks overlap in time, one of them over everything."""
    run_id = await store.new_run()
    wide = SentFrame(run_id, KEYS, 1, tuple(Row(s, s * 500, (s, s)) for s in range(40)), writer="wide")
    narrow = [
        SentFrame(run_id, KEYS, n + 1, tuple(Row(s, s * 10 + 3, (s, s)) for s in range(50 * n, 50 * n + 60)))
        for n in range(40)
    ]
    await store.apply(wide)
    for frame in narrow:
        await store.apply(frame)
    assert await store.series(run_id, "a", load_rows=100) == expected([wide, *narrow], run_id, "a")
