"""What the SDK answers with: typed, frozen, named as the field names them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Any, TypeAlias

from rekam.data import DatasetInput

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
    # Found by the server: every process that wrote the run fell silent. Never set.
    CRASHED = "CRASHED"


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
class RunInputs:
    """What a run read. model_inputs: ids of logged models, which the answers of a search leave out."""

    dataset_inputs: tuple[DatasetInput, ...] = ()
    model_inputs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelOutput:
    """A logged model that a run made, and at which step."""

    model_id: str
    step: int


@dataclass(frozen=True, slots=True)
class RunOutputs:
    """What a run made."""

    model_outputs: tuple[ModelOutput, ...] = ()


@dataclass(frozen=True, slots=True)
class Run:
    """A run as the server has it."""

    info: RunInfo
    data: RunData
    inputs: RunInputs = RunInputs()
    outputs: RunOutputs = RunOutputs()


@dataclass(frozen=True, slots=True)
class DatasetSummary:
    """A dataset that runs of an experiment read, and what for; context is None when that was not said."""

    experiment_id: str
    name: str
    digest: str
    context: str | None = None


class LoggedModelStatus:
    """Status of a logged model, as text."""

    PENDING = "PENDING"
    READY = "READY"
    UPLOAD_FAILED = "UPLOAD_FAILED"


@dataclass(frozen=True, slots=True)
class LoggedModelMetric:
    """A value that was measured of a model; what was not said is None. timestamp as in Metric."""

    key: str
    value: float
    timestamp: int
    step: int
    time_us: int
    dataset_name: str | None = None
    dataset_digest: str | None = None
    run_id: str | None = None


@dataclass(frozen=True, slots=True)
class LoggedModel:
    """A model that a run made. Times are milliseconds since the epoch. metrics: every logged value."""

    model_id: str
    experiment_id: str
    name: str
    status: str
    creation_timestamp: int
    last_updated_timestamp: int
    artifact_location: str
    model_type: str | None = None
    source_run_id: str | None = None
    lifecycle_stage: str = LifecycleStage.ACTIVE
    tags: dict[str, str] = field(default_factory=dict)
    params: dict[str, str] = field(default_factory=dict)
    metrics: tuple[LoggedModelMetric, ...] = ()


@dataclass(frozen=True, slots=True)
class MetricSummary:
    """A metric of a run and how many points it has."""

    key: str
    points: int


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """n points of one metric as arrays of n, ordered by time, step, value.

    steps: int64; times_us: int64, microseconds since the epoch; values: float64.
    rank: of the writers, when series were asked for by rank; None: those without one.
    """

    run_id: str
    key: str
    steps: Int64Array
    times_us: Int64Array
    values: Float64Array
    rank: int | None = None

    def __len__(self) -> int:
        return len(self.steps)


@dataclass(frozen=True, slots=True, eq=False)
class Buckets:
    """A series reduced for a chart: arrays over the buckets that hold points, in order of x.

    [x_from, x_to] is cut into equal parts; index is a bucket's number. min, max and mean are
    over its numbers, last is the value with the greatest (x, time); count includes `nans`.
    rank: as in History.
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
    rank: int | None = None


@dataclass(frozen=True, slots=True)
class WriterCompleteness:
    """How much of what a writer sent has arrived, and whether it is alive.

    Every frame and text up to complete_up_to is there; gaps are (first, last) sequences that are
    missing below greatest. heard_us: when the server last had something of it, microseconds
    since the epoch. alive: None for a writer without heartbeats, whose absence says nothing.
    """

    writer: str
    rank: int | None
    complete_up_to: int
    greatest: int
    points: int
    gaps: tuple[tuple[int, int], ...] = ()
    heard_us: int | None = None
    heartbeat_ms: int | None = None
    alive: bool | None = None


@dataclass(frozen=True, slots=True)
class RankSummary:
    """A rank of a run, with its writers; None: writers without one."""

    rank: int | None
    writers: tuple[str, ...]
    points: int


@dataclass(frozen=True, slots=True)
class TextSummary:
    """What one writer of a run wrote of a text stream. bytes: UTF-8, line ends not counted."""

    stream: str
    writer: str
    rank: int | None
    lines: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a text stream, without its line end; time_us: microseconds since the epoch."""

    text: str
    time_us: int
    writer: str
    rank: int | None


@dataclass(frozen=True, slots=True)
class FileInfo:
    """A file or folder. path: from where its run's artifacts begin, or as it was asked for.

    file_size, digest (SHA-256), media_type, time (milliseconds since the epoch): of a file; None of a folder.
    """

    path: str
    is_dir: bool
    file_size: int | None = None
    digest: str | None = None
    media_type: str | None = None
    time: int | None = None


@dataclass(frozen=True, slots=True)
class LineageEdge:
    """Bytes at a path, and what a run or model has to do with them.

    kind: PRODUCED, the run keeps the file; USED, the run downloaded it, with these bytes; CONTAINED, the
    model has it; empty: it lies where no run and no model keeps its own. time: milliseconds since the epoch.
    """

    kind: str
    owner: str
    path: str
    digest: str
    time: int


class PagedList(list[Any]):
    """A page of a search; `token` asks for the next one and is None on the last."""

    def __init__(self, items: Sequence[Any], token: str | None) -> None:
        super().__init__(items)
        self.token = token
