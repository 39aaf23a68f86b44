"""Client: commands and queries on any experiment and run, by their ids."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from rekam import conversion, settings
from rekam.address import target_of
from rekam.entities import (
    Buckets,
    Experiment,
    History,
    Metric,
    MetricSummary,
    PagedList,
    Run,
    RunStatus,
    ViewType,
    WriterCompleteness,
)
from rekam.errors import Invalid, NotFound
from rekam.recorder import recorder_for
from rekam.recording.writer import RunWriter, int_step
from rekam.run_names import random_name
from rekam.server import Server, server_for, user_name
from rekam_proto.tracking.v1 import experiment_pb2, metric_pb2, read_pb2, run_pb2

Consistency = Literal["strong", "eventual"]
AXES = {
    "step": metric_pb2.AXIS_STEP,
    "time": metric_pb2.AXIS_TIME,
    "relative_time": metric_pb2.AXIS_RELATIVE_TIME,
}
MAX_PAGE = 50_000


class Client:
    """Talks to one server. Any number of threads may use it.

    consistency: "strong" queries see everything that was acknowledged before, and everything
    this process logged to the same server; "eventual" ones answer from what is projected now.
    Every method raises the errors of rekam.errors: Invalid, NotFound, AlreadyExists,
    FailedPrecondition when the request is at fault, Unavailable when the server is not there.
    """

    def __init__(self, tracking_uri: str | None = None, *, consistency: Consistency = "strong") -> None:
        if consistency not in ("strong", "eventual"):
            raise Invalid(f"must be 'strong' or 'eventual', got {consistency!r}", field="consistency")
        if tracking_uri is None:
            from rekam import fluent

            tracking_uri = fluent.get_tracking_uri()
        self.tracking_uri = tracking_uri
        self._target = target_of(tracking_uri)
        self._strong = consistency == "strong"
        self._writers: dict[str, RunWriter] = {}

    # ---- experiments ----

    def create_experiment(
        self, name: str, artifact_location: str | None = None, tags: Mapping[str, Any] | None = None
    ) -> str:
        """Create an experiment; returns its id. AlreadyExists when the name is taken, deleted or not."""
        request = _create_experiment(name, artifact_location, tags)
        return str(self._call(self._server.experiments.CreateExperiment, request).experiment_id)

    def ensure_experiment(
        self, name: str, artifact_location: str | None = None, tags: Mapping[str, Any] | None = None
    ) -> Experiment:
        """The experiment of this name, created when there is none. FailedPrecondition when it is deleted."""
        request = _create_experiment(name, artifact_location, tags)
        return conversion.experiment_from(self._call(self._server.experiments.EnsureExperiment, request))

    def get_experiment(self, experiment_id: str) -> Experiment:
        """An experiment, also a deleted one."""
        request = experiment_pb2.GetExperimentRequest(
            experiment_id=experiment_id, consistency=self._consistency
        )
        return conversion.experiment_from(self._query(self._server.experiments.GetExperiment, request))

    def get_experiment_by_name(self, name: str) -> Experiment | None:
        """The experiment of this name, also a deleted one; None when there is none."""
        request = experiment_pb2.GetExperimentRequest(name=name, consistency=self._consistency)
        try:
            return conversion.experiment_from(self._query(self._server.experiments.GetExperiment, request))
        except NotFound:
            return None

    def rename_experiment(self, experiment_id: str, new_name: str) -> None:
        """Rename an experiment. FailedPrecondition when it is deleted."""
        request = experiment_pb2.RenameExperimentRequest(
            experiment_id=experiment_id, name=new_name, actor=user_name()
        )
        self._call(self._server.experiments.RenameExperiment, request)

    def delete_experiment(self, experiment_id: str) -> None:
        """Delete an experiment and its runs softly: restore_experiment brings them back."""
        request = experiment_pb2.DeleteExperimentRequest(experiment_id=experiment_id, actor=user_name())
        self._call(self._server.experiments.DeleteExperiment, request)

    def restore_experiment(self, experiment_id: str) -> None:
        """Bring back a deleted experiment and all its runs."""
        request = experiment_pb2.RestoreExperimentRequest(experiment_id=experiment_id, actor=user_name())
        self._call(self._server.experiments.RestoreExperiment, request)

    def set_experiment_tag(self, experiment_id: str, key: str, value: Any) -> None:
        """Set a tag of an experiment (value: up to 5,000 characters)."""
        request = experiment_pb2.SetExperimentTagsRequest(
            experiment_id=experiment_id, tags=_tags({key: value}), actor=user_name()
        )
        self._call(self._server.experiments.SetExperimentTags, request)

    def delete_experiment_tag(self, experiment_id: str, key: str) -> None:
        """Delete a tag of an experiment; one that is not set is passed over."""
        request = experiment_pb2.DeleteExperimentTagsRequest(
            experiment_id=experiment_id, keys=[key], actor=user_name()
        )
        self._call(self._server.experiments.DeleteExperimentTags, request)

    def search_experiments(
        self,
        view_type: int = ViewType.ACTIVE_ONLY,
        max_results: int = 1000,
        filter_string: str | None = None,
        order_by: Sequence[str] | None = None,
        page_token: str | None = None,
    ) -> PagedList:
        """A page of Experiment. max_results: 1 to 50,000. An error points at what is wrong in a filter."""
        request = experiment_pb2.SearchExperimentsRequest(
            filter=filter_string or "",
            order_by=order_by or [],
            view=conversion.view_of(view_type),
            page_size=_page_size(max_results),
            page_token=page_token or "",
            consistency=self._consistency,
        )
        answer = self._query(self._server.experiments.SearchExperiments, request)
        found = [conversion.experiment_from(each) for each in answer.experiments]
        return PagedList(found, answer.next_page_token or None)

    # ---- runs ----

    def create_run(
        self,
        experiment_id: str,
        start_time: int | None = None,
        tags: Mapping[str, Any] | None = None,
        run_name: str | None = None,
    ) -> Run:
        """Create a run with status RUNNING. start_time: milliseconds since the epoch, now if None."""
        request = run_pb2.CreateRunRequest(
            experiment_id=experiment_id,
            name=run_name or (tags or {}).get("mlflow.runName") or random_name(),
            user=user_name(),
            start_ms=time.time_ns() // 1_000_000 if start_time is None else start_time,
            tags=_tags(tags),
            actor=user_name(),
        )
        return conversion.run_from(self._call(self._server.runs.CreateRun, request))

    def get_run(self, run_id: str) -> Run:
        """A run with its params, tags and latest metrics, also a deleted one."""
        request = run_pb2.GetRunRequest(run_id=run_id, consistency=self._consistency)
        return conversion.run_from(self._query(self._server.runs.GetRun, request))

    def update_run(self, run_id: str, status: str | None = None, name: str | None = None) -> None:
        """Change status or name of a run."""
        request = run_pb2.UpdateRunRequest(run_id=run_id, actor=user_name())
        if status is not None:
            request.status = conversion.status_of(status)
        if name is not None:
            request.name = name
        self._call(self._server.runs.UpdateRun, request)

    def set_terminated(self, run_id: str, status: str | None = None, end_time: int | None = None) -> None:
        """End a run: FINISHED and now by default. end_time: milliseconds since the epoch."""
        self._settle()
        request = run_pb2.UpdateRunRequest(
            run_id=run_id,
            status=conversion.status_of(status or RunStatus.FINISHED),
            end_ms=time.time_ns() // 1_000_000 if end_time is None else end_time,
            actor=user_name(),
        )
        self._call(self._server.runs.UpdateRun, request)

    def delete_run(self, run_id: str) -> None:
        """Delete a run softly. Deleting a deleted run changes nothing."""
        self._call(self._server.runs.DeleteRun, run_pb2.DeleteRunRequest(run_id=run_id, actor=user_name()))

    def restore_run(self, run_id: str) -> None:
        """Bring back a deleted run."""
        self._call(self._server.runs.RestoreRun, run_pb2.RestoreRunRequest(run_id=run_id, actor=user_name()))

    def run_state(self, run_id: str) -> tuple[str, str, str]:
        """(experiment id, lifecycle stage, status) as decided by the log: what a writer must know."""
        state = self._call(self._server.runs.GetRunState, run_pb2.GetRunStateRequest(run_id=run_id))
        stage = "deleted" if state.lifecycle == read_pb2.LIFECYCLE_DELETED else "active"
        return state.experiment_id, stage, conversion.status_name(state.status)

    def search_runs(
        self,
        experiment_ids: Sequence[str],
        filter_string: str = "",
        run_view_type: int = ViewType.ACTIVE_ONLY,
        max_results: int = 1000,
        order_by: Sequence[str] | None = None,
        page_token: str | None = None,
    ) -> PagedList:
        """A page of Run. max_results: 1 to 50,000. An error points at what is wrong in a filter."""
        request = run_pb2.SearchRunsRequest(
            experiment_ids=experiment_ids,
            filter=filter_string or "",
            order_by=order_by or [],
            view=conversion.view_of(run_view_type),
            page_size=_page_size(max_results),
            page_token=page_token or "",
            consistency=self._consistency,
        )
        answer = self._query(self._server.runs.SearchRuns, request)
        return PagedList([conversion.run_from(run) for run in answer.runs], answer.next_page_token or None)

    # ---- what runs hold ----

    def log_metric(
        self, run_id: str, key: str, value: float, timestamp: int | None = None, step: int | None = None
    ) -> None:
        """Log one value into any run; only appends to a buffer, like the fluent log_metric.

        timestamp: milliseconds since the epoch, now if None; step: 0 if None.
        """
        time_us = None if timestamp is None else timestamp * 1000
        self._writer(run_id).log_metric(key, value, int_step(step), time_us)

    def log_metrics(
        self, run_id: str, metrics: Mapping[str, float], timestamp: int | None = None, step: int | None = None
    ) -> None:
        """Log one value of each key into any run; see log_metric."""
        time_us = None if timestamp is None else timestamp * 1000
        self._writer(run_id).log_metrics(metrics, int_step(step), time_us)

    def log_param(self, run_id: str, key: str, value: Any) -> Any:
        """Log a write-once param, now; returns the value. Invalid when the run has another value."""
        self.log_params(run_id, {key: value})
        return value

    def log_params(self, run_id: str, params: Mapping[str, Any]) -> None:
        """Log write-once params, now and all or none."""
        messages = [read_pb2.Param(key=key, value=str(value)) for key, value in params.items()]
        self._call(
            self._server.runs.LogParams,
            run_pb2.LogParamsRequest(run_id=run_id, params=messages, actor=user_name()),
        )

    def set_tag(self, run_id: str, key: str, value: Any) -> None:
        """Set a tag, now."""
        self.set_tags(run_id, {key: value})

    def set_tags(self, run_id: str, tags: Mapping[str, Any]) -> None:
        """Set tags, now."""
        request = run_pb2.SetTagsRequest(run_id=run_id, tags=_tags(tags), actor=user_name())
        self._call(self._server.runs.SetTags, request)

    def delete_tag(self, run_id: str, key: str) -> None:
        """Delete a tag, now. NotFound when it is not set."""
        request = run_pb2.DeleteTagsRequest(run_id=run_id, keys=[key], actor=user_name())
        self._call(self._server.runs.DeleteTags, request)

    def flush(self, timeout: float | None = None) -> None:
        """Return when everything this process logged to this server is acknowledged; see rekam.flush."""
        recorder_for(self._target).flush(settings.current().flush_timeout if timeout is None else timeout)

    # ---- metrics ----

    def list_metrics(self, run_id: str) -> list[MetricSummary]:
        """Keys of a run, sorted, with their number of points."""
        request = metric_pb2.ListMetricsRequest(run_id=run_id, consistency=self._consistency)
        answer = self._query(self._server.metrics.ListMetrics, request)
        return [MetricSummary(metric.key, metric.points) for metric in answer.metrics]

    def get_metric_history(self, run_id: str, key: str) -> list[Metric]:
        """All points of one metric as objects; get_history gives them as arrays, far faster."""
        history = self.get_history(run_id, key)
        return [
            Metric(key, float(value), int(time_us) // 1000, int(step), int(time_us))
            for step, time_us, value in zip(history.steps, history.times_us, history.values, strict=True)
        ]

    def get_history(
        self,
        run_id: str,
        key: str,
        *,
        steps: tuple[int | None, int | None] | None = None,
        times_us: tuple[int | None, int | None] | None = None,
        writer: str | None = None,
    ) -> History:
        """All points of one metric as arrays, ordered by time, step, value; empty for an unknown key.

        steps, times_us: (from, to), both inclusive, None is open; microseconds since the epoch.
        writer: only what this writer sent.
        """
        if writer is not None:
            return self._history_of_writer(run_id, key, writer, steps, times_us)
        request = _stream_request([run_id], [key], steps, times_us, self._consistency)
        blocks = [block.points for block in self._blocks(request)]
        return conversion.history_from(run_id, key, blocks)

    def stream_history(
        self,
        run_ids: Sequence[str],
        keys: Sequence[str],
        *,
        steps: tuple[int | None, int | None] | None = None,
        times_us: tuple[int | None, int | None] | None = None,
    ) -> Iterator[History]:
        """Series of up to 1,000 runs x 1,000 keys in blocks of up to 65,536 points, in constant memory.

        Run by run and key by key as asked; a long series comes as several blocks, in order.
        """
        for block in self._blocks(_stream_request(run_ids, keys, steps, times_us, self._consistency)):
            yield conversion.history_from(block.run_id, block.key, [block.points])

    def get_buckets(
        self,
        run_ids: Sequence[str],
        keys: Sequence[str],
        buckets: int = 1000,
        *,
        axis: Literal["step", "time", "relative_time"] = "step",
        x: tuple[int | None, int | None] | None = None,
    ) -> list[Buckets]:
        """Series reduced for a chart: min, max, mean and last of each bucket; a spike is never lost.

        buckets: 1 to 10,000. x: (from, to) in the axis' unit, inclusive: steps, or microseconds.
        """
        if axis not in AXES:
            raise Invalid(f"must be one of {', '.join(AXES)}, got {axis!r}", field="axis")
        request = metric_pb2.GetBucketsRequest(
            run_ids=run_ids, keys=keys, axis=AXES[axis], buckets=buckets, consistency=self._consistency
        )
        _set_range(request.x, x)
        answer = self._query(self._server.metrics.GetBuckets, request)
        return [conversion.buckets_from(series) for series in answer.series]

    def get_completeness(self, run_id: str) -> list[WriterCompleteness]:
        """How much of what each writer of a run sent has arrived."""
        request = metric_pb2.GetCompletenessRequest(run_id=run_id, consistency=self._consistency)
        answer = self._query(self._server.metrics.GetCompleteness, request)
        return [conversion.completeness_from(writer) for writer in answer.writers]

    # ---- inside ----

    @property
    def _server(self) -> Server:
        return server_for(self._target)

    @property
    def _consistency(self) -> read_pb2.Consistency:
        return read_pb2.CONSISTENCY_STRONG if self._strong else read_pb2.CONSISTENCY_EVENTUAL

    def _call(self, method: Any, request: Any) -> Any:
        return self._server.call(method, request)

    def _query(self, method: Any, request: Any) -> Any:
        if self._strong:
            self._settle()
        return self._server.call(method, request)

    def _settle(self) -> None:
        """What this process logged before comes first; a server that is gone is told by the call itself."""
        recorder_for(self._target).settle(settings.current().flush_timeout, give_up_offline=True)

    def _writer(self, run_id: str) -> RunWriter:
        writer = self._writers.get(run_id)
        if writer is None:
            writer = recorder_for(self._target).open_run(run_id, settings.current().rank)
            if len(self._writers) >= 1_000:
                self._writers.clear()
            self._writers[run_id] = writer
        return writer

    def _blocks(self, request: metric_pb2.StreamHistoryRequest) -> Iterator[metric_pb2.HistoryBlockView]:
        if self._strong:
            self._settle()
        return self._server.raw_stream(
            "/rekam_proto.tracking.v1.MetricService/StreamHistory", request, metric_pb2.HistoryBlockView
        )

    def _history_of_writer(
        self,
        run_id: str,
        key: str,
        writer: str,
        steps: tuple[int | None, int | None] | None,
        times_us: tuple[int | None, int | None] | None,
    ) -> History:
        request = metric_pb2.GetHistoryRequest(
            run_id=run_id, key=key, writer=writer, page_size=100_000, consistency=self._consistency
        )
        _set_range(request.steps, steps)
        _set_range(request.times_us, times_us)
        if self._strong:
            self._settle()
        pages = []
        while True:
            answer = self._server.raw_call(
                "/rekam_proto.tracking.v1.MetricService/GetHistory",
                request,
                metric_pb2.GetHistoryResponseView,
            )
            pages.append(answer.points)
            request.page_token = answer.next_page_token
            if not request.page_token:
                return conversion.history_from(run_id, key, pages)


def _create_experiment(
    name: str, artifact_location: str | None, tags: Mapping[str, Any] | None
) -> experiment_pb2.CreateExperimentRequest:
    if not str(name).strip():
        raise Invalid(f"an experiment's name is text that is not blank, got {name!r}", field="name")
    return experiment_pb2.CreateExperimentRequest(
        name=name, artifact_location=artifact_location or "", tags=_tags(tags), actor=user_name()
    )


def _tags(tags: Mapping[str, Any] | None) -> list[read_pb2.Tag]:
    return [read_pb2.Tag(key=key, value=str(value)) for key, value in (tags or {}).items()]


def _page_size(max_results: int) -> int:
    if not 1 <= max_results <= MAX_PAGE:
        raise Invalid(f"must be 1 to {MAX_PAGE}, got {max_results}", field="max_results")
    return max_results


def _set_range(target: metric_pb2.Range, bounds: tuple[int | None, int | None] | None) -> None:
    if bounds is None:
        return
    first, last = bounds
    if first is not None:
        setattr(target, "from", first)
    if last is not None:
        target.to = last


def _stream_request(
    run_ids: Sequence[str],
    keys: Sequence[str],
    steps: tuple[int | None, int | None] | None,
    times_us: tuple[int | None, int | None] | None,
    consistency: read_pb2.Consistency,
) -> metric_pb2.StreamHistoryRequest:
    request = metric_pb2.StreamHistoryRequest(run_ids=run_ids, keys=keys, consistency=consistency)
    _set_range(request.steps, steps)
    _set_range(request.times_us, times_us)
    return request
