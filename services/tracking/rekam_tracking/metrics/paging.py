"""Page tokens of a history: the last point that was given out, and how many equal ones with it.

A token stays good whatever is written or merged meanwhile: it names a place in the order of
the points, not in the storage.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from rekam_proto.tracking.v1 import metric_pb2
from rekam_tracking import tokens
from rekam_tracking.metrics.points import Points, value_order
from rekam_tracking.ranges import INT64_MAX


@dataclass(frozen=True, slots=True)
class Place:
    """Behind the first `equal` of the points with this time, step and value (by value_order)."""

    time_us: int
    step: int
    value: int
    equal: int

    def skip(self, points: Points) -> Points:
        """The points behind this place, of some in order; with one, all that equal it are among them."""
        first = int(np.searchsorted(points.times_us, self.time_us, "left"))
        end = int(np.searchsorted(points.times_us, self.time_us, "right"))
        same_time = points.at(slice(first, end))
        order = value_order(same_time.values)
        before = (same_time.steps < self.step) | ((same_time.steps == self.step) & (order < self.value))
        equal = (same_time.steps == self.step) & (order == self.value)
        skipped = int(before.sum()) + min(self.equal, int(equal.sum()))
        return points.at(slice(first + skipped, None))

    def past_equals(self) -> Place:
        """Behind all the points that equal the last one, however many there are or will be."""
        return replace(self, equal=INT64_MAX)


def place_behind(page: Points, before: Place | None) -> Place:
    """The place behind a page's last point; `before`: where the page began."""
    step, time_us = int(page.steps[-1]), int(page.times_us[-1])
    order = value_order(page.values)
    value = int(order[-1])
    equal = int(((page.times_us == time_us) & (page.steps == step) & (order == value)).sum())
    if before is not None and (before.time_us, before.step, before.value) == (time_us, step, value):
        equal += before.equal
    return Place(time_us, step, value, equal)


def encode(place: Place, request: metric_pb2.GetHistoryRequest) -> str:
    return tokens.encode(request, place.time_us, place.step, place.value, place.equal)


def decode(request: metric_pb2.GetHistoryRequest) -> Place | None:
    """Where the request goes on; None at the beginning."""
    return Place(*tokens.decode(request, request.page_token, 4)) if request.page_token else None
