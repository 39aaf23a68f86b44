"""Metrics put together into blocks: nothing is lost, nothing is made up, as few as can be."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rekam_gateway.http.frames import blocks_of
from rekam_gateway.ingest.writers import Block


@dataclass(frozen=True)
class Value:
    key: str
    value: float
    timestamp: int
    step: int


values = st.lists(
    st.builds(
        Value,
        st.sampled_from("abcd"),
        st.floats(),
        st.integers(0, (2**63 - 1) // 1_000) | st.integers(0, 3),
        st.integers(-(2**63), 2**63 - 1) | st.integers(0, 3),
    )
)
Point = tuple[str, int, int, int]


def bits(value: float) -> int:
    return int(np.float64(value).view(np.int64))


def points_of(block: Block) -> list[Point]:
    steps, times = np.frombuffer(block.steps, "<i8"), np.frombuffer(block.times_us, "<i8")
    columns = np.frombuffer(block.values, "<i8").reshape(len(block.keys), len(steps))
    assert len(set(block.keys)) == len(block.keys)
    return [
        (key, time, step, value)
        for key, column in zip(block.keys, columns.tolist(), strict=True)
        for time, step, value in zip(times.tolist(), steps.tolist(), column, strict=True)
    ]


@given(values)
@settings(deadline=None)
def test_what_is_sent_is_what_is_written(sent: list[Value]) -> None:
    blocks = blocks_of(sent)
    written = Counter(point for block in blocks for point in points_of(block))
    assert written == Counter((v.key, v.timestamp * 1_000, v.step, bits(v.value)) for v in sent)
    assert len(blocks) <= len({v.key for v in sent})


@given(values)
@settings(deadline=None)
def test_a_key_is_in_one_block_in_the_order_it_came(sent: list[Value]) -> None:
    blocks = blocks_of(sent)
    for key in {v.key for v in sent}:
        (block,) = (block for block in blocks if key in block.keys)
        steps = [step for name, _, step, _ in points_of(block) if name == key]
        assert steps == [v.step for v in sent if v.key == key]


def test_rows_of_the_same_keys_are_one_block_in_whatever_order() -> None:
    rows = [Value(f"k{key}", key + step, 10 + step, step) for step in range(100) for key in range(10)]
    by_key = sorted(rows, key=lambda value: value.key)
    for sent in (rows, by_key):
        (block,) = blocks_of(sent)
        assert block.keys == tuple(f"k{key}" for key in range(10))


def test_keys_that_come_at_other_times_have_another_block() -> None:
    sent = [Value("loss", 1.0, step, step) for step in range(10)] + [Value("accuracy", 0.5, 9, 9)]
    assert [block.keys for block in blocks_of(sent)] == [("loss",), ("accuracy",)]
