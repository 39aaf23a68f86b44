"""Metrics of one request, put together into as few blocks as there are patterns of steps and times."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Protocol

import numpy as np

from rekam_gateway.ingest.writers import Block


class Measured(Protocol):
    """One value of a metric; timestamp in milliseconds."""

    @property
    def key(self) -> str: ...
    @property
    def value(self) -> float: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def step(self) -> int: ...


def blocks_of(metrics: Iterable[Measured]) -> list[Block]:
    """Keys whose values came at the same steps and times share a block, in the order they came."""
    by_key: defaultdict[str, list[Measured]] = defaultdict(list)
    for metric in metrics:
        by_key[metric.key].append(metric)
    alike: defaultdict[tuple[tuple[int, ...], tuple[int, ...]], list[str]] = defaultdict(list)
    for key, values in by_key.items():
        steps, times = tuple([value.step for value in values]), tuple([value.timestamp for value in values])
        alike[steps, times].append(key)
    return [
        Block(
            keys=tuple(keys),
            steps=np.array(steps, "<i8").tobytes(),
            times_us=(np.array(times, "<i8") * 1_000).tobytes(),
            values=np.array([value.value for key in keys for value in by_key[key]], "<f8").tobytes(),
        )
        for (steps, times), keys in alike.items()
    ]
