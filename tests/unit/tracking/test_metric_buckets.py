"""Buckets, the ranges of received frames and even steps, against what their definitions say."""

from __future__ import annotations

import math
from itertools import chain, pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rekam_tracking.metrics.buckets import Buckets, Cut
from rekam_tracking.metrics.chunks import stride_of
from rekam_tracking.metrics.points import value_order
from rekam_tracking.received import contains, gaps, multirange, spans

INT64 = st.integers(-(2**63), 2**63 - 1)
xs = st.one_of(st.integers(-5, 12), INT64)
values = st.one_of(
    st.sampled_from([0.0, -0.0, 1.0, math.inf, -math.inf, math.nan, 1.7976931348623157e308, 5e-324]),
    st.floats(-1e6, 1e6),
)
Triple = tuple[int, int, float]
series = st.lists(st.tuples(xs, st.integers(0, 3), values), max_size=40)


def order(point: Triple) -> tuple[int, int, int]:
    x, time_us, value = point
    return x, time_us, int(value_order(np.array([value]))[0])


def same(found: float, wanted: float) -> bool:
    return (math.isnan(found) and math.isnan(wanted)) or found == wanted


def close(found: float, wanted: float) -> bool:
    return same(found, wanted) or math.isclose(found, wanted, rel_tol=1e-9, abs_tol=1e-6)


def mean(numbers: list[float]) -> float:
    """The mean of numbers whose sum may be greater than any float."""
    if not numbers or any(map(math.isnan, numbers)):
        return math.nan
    if any(map(math.isinf, numbers)):
        return sum(number for number in numbers if math.isinf(number))
    return float(np.sum(np.array(numbers, np.longdouble)) / len(numbers))


@given(st.lists(series, max_size=4), st.tuples(xs, xs).map(sorted), st.integers(1, 12))
@settings(max_examples=400, deadline=None)
def test_every_bucket_is_as_defined(parts: list[list[Triple]], ends: list[int], number: int) -> None:
    first, last = ends
    buckets = Buckets(Cut(first, last, number))
    for part in parts:
        buckets.add(
            np.array([x for x, _, _ in part], np.int64),
            np.array([time_us for _, time_us, _ in part], np.int64),
            np.array([value for _, _, value in part], np.float64),
        )

    wanted: dict[int, list[Triple]] = {}
    for point in chain.from_iterable(parts):
        if first <= point[0] <= last:
            wanted.setdefault((point[0] - first) * number // (last - first + 1), []).append(point)
    assert buckets.filled.tolist() == sorted(wanted)
    means = buckets.mean()
    for index, points in wanted.items():
        numbers = [value for _, _, value in points if not math.isnan(value)]
        assert buckets.count[index] == len(points)
        assert buckets.nans[index] == len(points) - len(numbers)
        assert same(buckets.min[index], min(numbers, default=math.nan))
        assert same(buckets.max[index], max(numbers, default=math.nan))
        assert close(means[index], mean(numbers))
        assert same(buckets.last[index], max(points, key=order)[2])
        assert buckets.first_x[index] == min(x for x, _, _ in points)
        assert buckets.last_x[index] == max(x for x, _, _ in points)


@given(st.lists(st.tuples(st.integers(1, 40), st.booleans())))
def test_received_ranges_are_the_set_of_sequences(arrivals: list[tuple[int, bool]]) -> None:
    sequences = {sequence for sequence, arrived in arrivals if arrived}
    ranges = spans(sequences)
    assert {n for first, end in ranges for n in range(first, end)} == sequences
    assert all(end < first for (_, end), (first, _) in pairwise(ranges))
    assert [n for n in range(45) if contains(ranges, n)] == sorted(sequences)
    missing = set(range(1, max(sequences, default=0))) - sequences
    assert {n for first, end in gaps(ranges) for n in range(first, end)} == missing


def test_ranges_as_postgres_reads_them() -> None:
    assert multirange([]) == "{}"
    assert multirange([(1, 4), (7, 8)]) == "{[1,4),[7,8)}"


def stride(steps: list[int]) -> int | None:
    return stride_of(np.array(steps, np.int64))


@given(
    st.one_of(
        st.lists(INT64, min_size=1, max_size=6),
        st.builds(
            lambda first, each, n: [first + each * i for i in range(n)],
            st.integers(-(2**62), 2**62),
            st.integers(-3, 2**59),
            st.integers(1, 8),
        ),
    )
)
@settings(max_examples=300)
def test_even_steps_are_told_by_their_stride(steps: list[int]) -> None:
    found = stride(steps)
    even = len(steps) == 1 or (
        len({after - before for before, after in pairwise(steps)}) == 1 and 0 < steps[1] - steps[0] < 2**63
    )
    assert (found is not None) == even
    if found is not None:
        assert [steps[0] + found * i for i in range(len(steps))] == steps


def test_a_step_that_wraps_around_is_not_even() -> None:
    assert stride([2**62, -(2**63), -(2**62)]) is None
    assert stride([-(2**63), 2**63 - 1]) is None
    assert stride([-(2**63), -1]) == 2**63 - 1
