"""Steps that are shown of long series: even, with every end, bounded in what is kept at hand."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rekam_gateway.http.sampling import Sampling

steps = st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(-20, 20), min_size=1, max_size=30)


def sampled(series: list[list[int]], most: int, most_steps: int = 1_000) -> list[int]:
    sampling = Sampling(most_steps)
    for number, some in enumerate(series):
        for first in range(0, len(some), 7):  # as they come: in blocks
            sampling.add(str(number), np.array(some[first : first + 7], np.int64))
    picked: list[int] = sampling.pick(most).tolist()
    return picked


@given(st.lists(steps, min_size=1, max_size=4), st.integers(1, 20))
@settings(deadline=None)
def test_few_steps_are_all_there_and_many_are_sampled(series: list[list[int]], most: int) -> None:
    every = sorted({step for some in series for step in some})
    ends = {end for some in series for end in (min(some), max(some))}
    picked = sampled(series, most)
    if len(every) <= most:
        assert picked == every
    else:
        evenly = {every[int(number * len(every) / most)] for number in range(most)}
        assert picked == sorted(evenly | {every[-1]} | ends)


@given(st.lists(steps, min_size=1, max_size=4), st.integers(1, 20))
@settings(deadline=None)
def test_beyond_what_is_kept_at_hand_the_ends_are_there_still(series: list[list[int]], most: int) -> None:
    picked = sampled(series, most, most_steps=5)
    assert {end for some in series for end in (min(some), max(some))} <= set(picked)
    assert len(picked) <= most + 1 + 2 * len(series)


def test_without_steps_there_are_none() -> None:
    assert sampled([], 5) == []
