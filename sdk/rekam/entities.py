"""What the SDK answers with: typed, frozen, named as the field names them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from array import array

    import numpy

    # numpy's when it is installed, else the standard library's.
    Int64Array: TypeAlias = "numpy.ndarray[Any, numpy.dtype[numpy.int64]] | array[int]"
    Float64Array: TypeAlias = "numpy.ndarray[Any, numpy.dtype[numpy.float64]] | array[float]"


class ViewType(IntEnum):
    """Which lifecycle stage a search looks at."""

    ACTIVE_ONLY = 1
    DELETED_ONLY = 2
    ALL = 3


class RunStatus:
    """Status of a run, as text."""

    RUNNING = "RUNNING"
    SCHEDULED = "SCHEDULED"
    FINISHED = "FINISHED"
    FAILED = "FAILED"
    KILLED = "KILLED"


class LifecycleStage:
    """Lifecycle stage of an experiment or run, as text."""

    ACTIVE = "active"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class Experiment:
    """Times are milliseconds since the epoch. experiment_id is empty while it is not known (offline)."""

    experiment_id: str
    name: str
    artifact_location: str = ""
    lifecycle_stage: str = LifecycleStage.ACTIVE
    creation_time: int | None = None
    last_update_time: int | None = None
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Metric:
    """A point: timestamp in milliseconds, time_us in microseconds since the epoch."""

    key: str
    value: float
    timestamp: int
    step: int
    time_us: int


@dataclass(frozen=True, slots=True)
class RunInfo:
    """Times are milliseconds since the epoch; end_time is None while the run goes on."""

    run_id: str
    experiment_id: str
    run_name: str
    user_id: str
    status: str
    start_time: int
    end_time: int | None = None
    lifecycle_stage: str = LifecycleStage.ACTIVE
    artifact_uri: str = ""


@dataclass(frozen=True, slots=True)
class RunData:
    """metrics: latest value by key; latest: the whole point of each."""

    metrics: dict[str, float] = field(default_factory=dict)
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    latest: dict[str, Metric] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Run:
    """A run as the server has it."""

    info: RunInfo
    data: RunData


@dataclass(frozen=True, slots=True)
class MetricSummary:
    """A metric of a run and how many points it has."""

    key: str
    points: int


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """n points of one metric as arrays of n, ordered by time, step, value.

    steps: int64; times_us: int64, microseconds since the epoch; values: float64.
    """

    run_id: str
    key: str
    steps: Int64Array
    times_us: Int64Array
    values: Float64Array

    def __len__(self) -> int:
        return len(self.steps)


@dataclass(frozen=True, slots=True, eq=False)
class Buckets:
    """A series reduced for a chart: arrays over the buckets that hold points, in order of x.

    [x_from, x_to] is cut into equal parts; index is a bucket's number. min, max and mean are
    over its numbers, last is the value with the greatest (x, time); count includes `nans`.
    """

    run_id: str
    key: str
    x_from: int
    x_to: int
    index: Sequence[int]
    count: Sequence[int]
    min: Sequence[float]
    max: Sequence[float]
    mean: Sequence[float]
    last: Sequence[float]
    first_x: Sequence[int]
    last_x: Sequence[int]
    nans: Sequence[int]


@dataclass(frozen=True, slots=True)
class WriterCompleteness:
    """How much of what a writer sent has arrived.

    Every frame up to complete_up_to is there; gaps are (first, last) sequences that are
    missing below greatest.
    """

    writer: str
    rank: int | None
    complete_up_to: int
    greatest: int
    points: int
    gaps: tuple[tuple[int, int], ...] = ()


class PagedList(list[Any]):
    """A page of a search; `token` asks for the next one and is None on the last."""

    def __init__(self, items: Sequence[Any], token: str | None) -> None:
        super().__init__(items)
        self.token = token
