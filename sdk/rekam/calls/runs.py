"""Calls about runs, and what they hold."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from rekam import conversion, settings
from rekam.calls.session import Consistency, Session, new_origin, page_size, tags_of
from rekam.data import DatasetInput, input_message
from rekam.entities import ModelOutput, PagedList, Run, RunStatus, ViewType
from rekam.recording.writer import RunWriter, int_step
from rekam.run_names import random_name
from rekam.server import user_name
from rekam_proto.tracking.v1 import read_pb2, run_pb2

_ENDED = (RunStatus.FINISHED, RunStatus.FAILED, RunStatus.KILLED)
# Writers of runs that are not the active one.
_MAX_WRITERS = 1_000


class Runs(Session):
    """Runs, by id."""

    def __init__(self, tracking_uri: str, consistency: Consistency, retry_timeout: float | None) -> None:
        super().__init__(tracking_uri, consistency, retry_timeout)
        self._writers: dict[tuple[str, bool], RunWriter] = {}

    def create_run(
        self,
        experiment_id: str,
        start_time: int | None = None,
        tags: Mapping[str, Any] | None = None,
        run_name: str | None = None,
        user_id: str | None = None,
    ) -> Run:
        """Create a run with status RUNNING.

        start_time: milliseconds since the epoch, now if None. user_id: whoever runs this process if None.
        """
        request = run_pb2.CreateRunRequest(
            run_id=uuid.uuid4().hex,
            experiment_id=experiment_id,
            name=run_name or (tags or {}).get("mlflow.runName") or random_name(),
            user=user_name() if user_id is None else user_id,
            start_ms=time.time_ns() // 1_000_000 if start_time is None else start_time,
            tags=tags_of(tags),
            actor=user_name(),
            origin=new_origin(),
        )
        return conversion.run_from(self._call(self._server.runs.CreateRun, request))

    def get_run(self, run_id: str) -> Run:
        """A run with its params, tags and latest metrics, also a deleted one."""
        request = run_pb2.GetRunRequest(run_id=run_id, consistency=self._consistency)
        return conversion.run_from(self._query(self._server.runs.GetRun, request))

    def update_run(
        self, run_id: str, status: str | None = None, name: str | None = None, end_time: int | None = None
    ) -> None:
        """Change status, name or end time (milliseconds since the epoch) of a run."""
        request = run_pb2.UpdateRunRequest(run_id=run_id, actor=user_name())
        if status is not None:
            request.status = conversion.status_of(status)
        if name is not None:
            request.name = name
        if end_time is not None:
            request.end_ms = end_time
        self._call(self._server.runs.UpdateRun, request)
        if status in _ENDED:
            self._end_writer(run_id)

    def set_terminated(self, run_id: str, status: str | None = None, end_time: int | None = None) -> None:
        """End a run: FINISHED and now by default. end_time: milliseconds since the epoch."""
        self._settle()
        end_time = time.time_ns() // 1_000_000 if end_time is None else end_time
        self.update_run(run_id, status or RunStatus.FINISHED, end_time=end_time)

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
            page_size=page_size(max_results),
            page_token=page_token or "",
            consistency=self._consistency,
        )
        answer = self._query(self._server.runs.SearchRuns, request)
        return PagedList([conversion.run_from(run) for run in answer.runs], answer.next_page_token or None)

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
        request = run_pb2.SetTagsRequest(run_id=run_id, tags=tags_of(tags), actor=user_name())
        self._call(self._server.runs.SetTags, request)

    def delete_tag(self, run_id: str, key: str) -> None:
        """Delete a tag, now. NotFound when it is not set."""
        request = run_pb2.DeleteTagsRequest(run_id=run_id, keys=[key], actor=user_name(), origin=new_origin())
        self._call(self._server.runs.DeleteTags, request)

    def log_inputs(
        self, run_id: str, datasets: Sequence[DatasetInput] = (), model_ids: Sequence[str] = ()
    ) -> None:
        """Log datasets and models that a run reads, now; one that the run has already adds nothing."""
        request = run_pb2.LogInputsRequest(
            run_id=run_id,
            datasets=map(input_message, datasets),
            models=[run_pb2.ModelInput(model_id=id) for id in model_ids],
            actor=user_name(),
        )
        self._call(self._server.runs.LogInputs, request)

    def log_outputs(self, run_id: str, models: Sequence[ModelOutput]) -> None:
        """Log models that a run made, now; one that the run has already adds nothing."""
        messages = [run_pb2.ModelOutput(model_id=model.model_id, step=model.step) for model in models]
        request = run_pb2.LogOutputsRequest(run_id=run_id, models=messages, actor=user_name())
        self._call(self._server.runs.LogOutputs, request)

    def record_model(self, run_id: str, model: str) -> None:
        """Append a model's description, a JSON object, to a run's history of models.

        It is how programs said before there were logged models that a run made one.
        """
        request = run_pb2.RecordModelRequest(
            run_id=run_id, model=model, actor=user_name(), origin=new_origin()
        )
        self._call(self._server.runs.RecordModel, request)

    def _writer(self, run_id: str) -> RunWriter:
        recorder = self._recorder
        writer = self._writers.get((run_id, recorder.offline))
        if writer is None:
            writer = recorder.open_run(run_id, settings.current().rank, waits=recorder.offline)
            if len(self._writers) >= _MAX_WRITERS:
                self._writers.clear()
            self._writers[run_id, recorder.offline] = writer
        return writer

    def _end_writer(self, run_id: str) -> None:
        """Nobody needs to hear any more that the run lives; whoever logs into it later is another writer."""
        recorder = self._recorder
        writer = self._writers.pop((run_id, recorder.offline), None)
        if writer is not None:
            recorder.end_run(writer)
