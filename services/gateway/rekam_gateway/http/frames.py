"""Metrics of one request, put together into as few blocks as there are patterns of steps and times."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
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
    columns: dict[str, tuple[list[int], list[int], list[float]]] = {}
    for metric in metrics:
        column = columns.get(metric.key)
        if column is None:
            column = columns[metric.key] = ([], [], [])
        column[0].append(metric.step)
        column[1].append(metric.timestamp)
        column[2].append(metric.value)
    alike: dict[tuple[tuple[int, ...], tuple[int, ...]], list[str]] = {}
    for key, (steps, times, _) in columns.items():
        alike.setdefault((tuple(steps), tuple(times)), []).append(key)
    return [
        Block(
            keys=tuple(keys),
            steps=np.array(steps, "<i8").tobytes(),
            times_us=(np.array(times, "<i8") * 1_000).tobytes(),
            values=np.array(list(chain.from_iterable(columns[key][2] for key in keys)), "<f8").tobytes(),
        )
        for (steps, times), keys in alike.items()
    ]
