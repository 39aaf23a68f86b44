"""From protobuf messages to the SDK's entities and back."""

from __future__ import annotations

from array import array
from typing import Any

from google.protobuf.message import Message

from rekam.data import input_from
from rekam.entities import (
    Buckets,
    Experiment,
    FileInfo,
    History,
    LifecycleStage,
    Line,
    LineageEdge,
    LoggedModel,
    LoggedModelMetric,
    Metric,
    ModelOutput,
    RankSummary,
    Run,
    RunData,
    RunInfo,
    RunInputs,
    RunOutputs,
    TextSummary,
    ViewType,
    WriterCompleteness,
)
from rekam.errors import Invalid
from rekam_proto.artifacts.v1 import artifact_pb2
from rekam_proto.tracking.v1 import experiment_pb2, logged_model_pb2, metric_pb2, read_pb2, run_pb2, text_pb2

_STAGES = {
    read_pb2.LIFECYCLE_ACTIVE: LifecycleStage.ACTIVE,
    read_pb2.LIFECYCLE_DELETED: LifecycleStage.DELETED,
}
_VIEWS = {
    ViewType.ACTIVE_ONLY: read_pb2.LIFECYCLE_VIEW_ACTIVE,
    ViewType.DELETED_ONLY: read_pb2.LIFECYCLE_VIEW_DELETED,
    ViewType.ALL: read_pb2.LIFECYCLE_VIEW_ALL,
}
_STATUS_PREFIX = "RUN_STATUS_"
_MODEL_STATUS_PREFIX = "LOGGED_MODEL_STATUS_"
_STATUS_BY_NAME = {
    "RUNNING": run_pb2.RUN_STATUS_RUNNING,
    "SCHEDULED": run_pb2.RUN_STATUS_SCHEDULED,
    "FINISHED": run_pb2.RUN_STATUS_FINISHED,
    "FAILED": run_pb2.RUN_STATUS_FAILED,
    "KILLED": run_pb2.RUN_STATUS_KILLED,
}
_MODEL_STATUS_BY_NAME = {
    "PENDING": logged_model_pb2.LOGGED_MODEL_STATUS_PENDING,
    "READY": logged_model_pb2.LOGGED_MODEL_STATUS_READY,
    "UPLOAD_FAILED": logged_model_pb2.LOGGED_MODEL_STATUS_UPLOAD_FAILED,
}


def view_of(view_type: int) -> read_pb2.LifecycleView:
    """LifecycleView of a ViewType."""
    try:
        return _VIEWS[ViewType(view_type)]
    except ValueError:
        raise Invalid(f"must be a ViewType, got {view_type!r}", field="view_type") from None


def status_of(status: str) -> run_pb2.RunStatus:
    """RunStatus of its name."""
    if status not in _STATUS_BY_NAME:
        raise Invalid(f"a status is one of {', '.join(_STATUS_BY_NAME)}, got {status!r}", field="status")
    return _STATUS_BY_NAME[status]


def status_name(status: run_pb2.RunStatus) -> str:
    """Name of a RunStatus."""
    return run_pb2.RunStatus.Name(status).removeprefix(_STATUS_PREFIX)


def experiment_from(message: experiment_pb2.Experiment) -> Experiment:
    """Experiment of its message."""
    return Experiment(
        experiment_id=message.experiment_id,
        name=message.name,
        artifact_location=message.artifact_location,
        lifecycle_stage=_STAGES[message.lifecycle],
        creation_time=message.created_ms,
        last_update_time=message.updated_ms,
        tags={tag.key: tag.value for tag in message.tags},
    )


def run_from(message: run_pb2.Run) -> Run:
    """Run of its message."""
    latest = {
        metric.key: Metric(metric.key, metric.value, metric.time_us // 1000, metric.step, metric.time_us)
        for metric in message.metrics
    }
    return Run(
        RunInfo(
            run_id=message.run_id,
            experiment_id=message.experiment_id,
            run_name=message.name,
            user_id=message.user,
            status=status_name(message.status),
            start_time=message.start_ms,
            end_time=message.end_ms or None,
            lifecycle_stage=_STAGES[message.lifecycle],
            artifact_uri=message.artifact_uri,
        ),
        RunData(
            metrics={key: metric.value for key, metric in latest.items()},
            params={param.key: param.value for param in message.params},
            tags={tag.key: tag.value for tag in message.tags},
            latest=latest,
        ),
        RunInputs(
            tuple(map(input_from, message.inputs.datasets)),
            tuple(model.model_id for model in message.inputs.models),
        ),
        RunOutputs(tuple(ModelOutput(model.model_id, model.step) for model in message.outputs.models)),
    )


def model_status_of(status: str) -> logged_model_pb2.LoggedModelStatus:
    """LoggedModelStatus of its name."""
    if status not in _MODEL_STATUS_BY_NAME:
        known = ", ".join(_MODEL_STATUS_BY_NAME)
        raise Invalid(f"a model's status is one of {known}, got {status!r}", field="status")
    return _MODEL_STATUS_BY_NAME[status]


def logged_model_from(message: logged_model_pb2.LoggedModel) -> LoggedModel:
    """LoggedModel of its message."""
    status = logged_model_pb2.LoggedModelStatus.Name(message.status)
    return LoggedModel(
        model_id=message.model_id,
        experiment_id=message.experiment_id,
        name=message.name,
        status=status.removeprefix(_MODEL_STATUS_PREFIX),
        creation_timestamp=message.created_ms,
        last_updated_timestamp=message.updated_ms,
        artifact_location=message.artifact_uri,
        model_type=message.model_type or None,
        source_run_id=message.source_run_id or None,
        lifecycle_stage=_STAGES[message.lifecycle],
        tags={tag.key: tag.value for tag in message.tags},
        params={param.key: param.value for param in message.params},
        metrics=tuple(
            LoggedModelMetric(
                each.key,
                each.value,
                each.time_us // 1000,
                each.step,
                each.time_us,
                each.dataset_name or None,
                each.dataset_digest or None,
                each.run_id or None,
            )
            for each in message.metrics
        ),
    )


def history_from(
    run_id: str, key: str, blocks: list[metric_pb2.PointsView], rank: int | None = None
) -> History:
    """History of its blocks: numbers are copied as bytes, never one by one."""
    return History(
        run_id,
        key,
        numbers("q", b"".join([block.steps for block in blocks])),
        numbers("q", b"".join([block.times_us for block in blocks])),
        numbers("d", b"".join([block.values for block in blocks])),
        rank,
    )


def numbers(code: str, data: bytes) -> Any:
    """Little-endian 64-bit numbers ("q" or "d") as an array: numpy's when it is installed."""
    try:
        import numpy
    except ImportError:
        import sys

        plain: array[Any] = array(code)
        plain.frombytes(data)
        if sys.byteorder == "big":
            plain.byteswap()
        return plain
    return numpy.frombuffer(data, dtype="<i8" if code == "q" else "<f8")


def buckets_from(message: metric_pb2.SeriesBuckets) -> Buckets:
    """Buckets of one series."""
    columns = ("index", "count", "min", "max", "mean", "last", "first_x", "last_x", "nans")
    return Buckets(
        message.run_id,
        message.key,
        message.x_from,
        message.x_to,
        **{name: list(getattr(message, name)) for name in columns},
        rank=_present(message, "rank"),
    )


def completeness_from(message: metric_pb2.WriterCompleteness) -> WriterCompleteness:
    """Completeness of one writer."""
    return WriterCompleteness(
        message.writer,
        _present(message, "rank"),
        message.complete_up_to,
        message.greatest,
        message.points,
        tuple((gap.first, gap.last) for gap in message.gaps),
        _present(message, "heard_us"),
        _present(message, "heartbeat_ms"),
        _present(message, "alive"),
    )


def rank_from(message: metric_pb2.RankSummary) -> RankSummary:
    """A rank of a run."""
    return RankSummary(_present(message, "rank"), tuple(message.writers), message.points)


def file_info_from(entry: artifact_pb2.Entry, folder: str, shown: str) -> FileInfo:
    """A file or folder in `folder`, which is shown as `shown`."""
    is_dir = entry.HasField("folder")
    path = (entry.folder.path if is_dir else entry.file.path).removeprefix(folder).lstrip("/")
    path = f"{shown}/{path}" if shown else path
    if is_dir:
        return FileInfo(path, True)
    file = entry.file
    return FileInfo(path, False, file.size, file.digest, file.media_type or None, file.updated_ms)


def edge_from(message: artifact_pb2.Edge) -> LineageEdge:
    """An edge of the lineage."""
    kind = artifact_pb2.EdgeKind.Name(message.kind).removeprefix("EDGE_KIND_").replace("UNSPECIFIED", "")
    return LineageEdge(kind, message.owner, message.path, message.digest, message.time_ms)


def text_from(message: text_pb2.TextSummary) -> TextSummary:
    """A text stream of a writer."""
    return TextSummary(
        message.stream, message.writer, _present(message, "rank"), message.lines, message.bytes
    )


def lines_from(message: text_pb2.TextBlock) -> list[Line]:
    """Lines of a block."""
    rank = _present(message, "rank")
    return [
        Line(text, time_us, message.writer, rank)
        for time_us, text in zip(message.times_us, message.lines, strict=True)
    ]


def _present(message: Message, field: str) -> Any:
    """A field's value; None when it was left out."""
    return getattr(message, field) if message.HasField(field) else None
