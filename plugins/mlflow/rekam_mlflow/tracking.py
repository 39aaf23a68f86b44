"""Tracking store of rekam://host:port: MLflow's calls as the SDK's.

Metrics go the SDK's way: a call appends to a buffer, a thread writes the spool and streams it. All
else is a call of its own, which is answered when it is decided. Queries wait for what this process
logged before, and the end of a run for all of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from mlflow.entities import (
    DatasetInput,
    Experiment,
    ExperimentTag,
    LoggedModel,
    LoggedModelInput,
    LoggedModelOutput,
    LoggedModelParameter,
    LoggedModelStatus,
    LoggedModelTag,
    Metric,
    Param,
    Run,
    RunInfo,
    RunStatus,
    RunTag,
    ViewType,
)
from mlflow.store.entities.paged_list import PagedList
from mlflow.store.tracking import SEARCH_LOGGED_MODEL_MAX_RESULTS_DEFAULT, SEARCH_MAX_RESULTS_DEFAULT
from mlflow.store.tracking.abstract_store import AbstractStore

from rekam import Client, ModelOutput
from rekam.data import Dataset
from rekam.errors import Invalid
from rekam.keys import check_key
from rekam.run import MAX_PARAM_CHARS, MAX_TAG_CHARS
from rekam_mlflow import conversion
from rekam_mlflow.addresses import server_of, to_server
from rekam_mlflow.conversion import values
from rekam_mlflow.errors import raises_as_mlflow

# Of a request for models; MLflow logs more in several.
_MAX_MODEL_PARAMS = 100


@raises_as_mlflow
class TrackingStore(AbstractStore):
    """Any number of threads may use one, and forked children."""

    def __init__(self, store_uri: str, artifact_uri: str | None = None) -> None:
        super().__init__()
        self._uri = store_uri
        self._client = Client(server_of(store_uri))

    # ---- experiments ----

    def create_experiment(
        self, name: str, artifact_location: str | None = None, tags: Sequence[ExperimentTag] | None = None
    ) -> str:
        location = to_server(artifact_location, self._uri) if artifact_location else None
        return self._client.create_experiment(name, location, values(tags))

    def get_experiment(self, experiment_id: str) -> Experiment:
        return conversion.experiment(self._client.get_experiment(experiment_id), self._uri)

    def get_experiment_by_name(self, experiment_name: str) -> Experiment | None:
        found = self._client.get_experiment_by_name(experiment_name)
        return None if found is None else conversion.experiment(found, self._uri)

    def search_experiments(
        self,
        view_type: int = ViewType.ACTIVE_ONLY,
        max_results: int = SEARCH_MAX_RESULTS_DEFAULT,
        filter_string: str | None = None,
        order_by: Sequence[str] | None = None,
        page_token: str | None = None,
    ) -> PagedList[Experiment]:
        page = self._client.search_experiments(view_type, max_results, filter_string, order_by, page_token)
        return PagedList([conversion.experiment(found, self._uri) for found in page], page.token)

    def rename_experiment(self, experiment_id: str, new_name: str) -> None:
        self._client.rename_experiment(experiment_id, new_name)

    def delete_experiment(self, experiment_id: str) -> None:
        self._client.delete_experiment(experiment_id)

    def restore_experiment(self, experiment_id: str) -> None:
        self._client.restore_experiment(experiment_id)

    def set_experiment_tag(self, experiment_id: str, tag: ExperimentTag) -> None:
        self._client.set_experiment_tag(experiment_id, tag.key, tag.value)

    def delete_experiment_tag(self, experiment_id: str, key: str) -> None:
        self._client.delete_experiment_tag(experiment_id, key)

    # ---- runs ----

    def create_run(
        self,
        experiment_id: str,
        user_id: str,
        start_time: int,
        tags: Sequence[RunTag],
        run_name: str | None,
    ) -> Run:
        created = self._client.create_run(
            str(experiment_id), start_time, values(tags), run_name, user_id=user_id
        )
        return conversion.run(created, self._uri)

    def get_run(self, run_id: str) -> Run:
        return conversion.run(self._client.get_run(run_id), self._uri)

    def update_run_info(
        self, run_id: str, run_status: int | None, end_time: int | None, run_name: str | None
    ) -> RunInfo:
        status = None if run_status is None else RunStatus.to_string(run_status)
        if run_status is not None and RunStatus.is_terminated(run_status):
            # Whatever of it the server refused is said here.
            self._client.flush()
        self._client.update_run(run_id, status, run_name or None, end_time=end_time)
        return conversion.run_info(self._client.get_run(run_id).info, self._uri)

    def delete_run(self, run_id: str) -> None:
        self._client.delete_run(run_id)

    def restore_run(self, run_id: str) -> None:
        self._client.restore_run(run_id)

    def _search_runs(
        self,
        experiment_ids: Sequence[str],
        filter_string: str | None,
        run_view_type: int,
        max_results: int,
        order_by: Sequence[str] | None,
        page_token: str | None,
    ) -> tuple[list[Run], str | None]:
        page = self._client.search_runs(
            experiment_ids, filter_string or "", run_view_type, max_results, order_by, page_token
        )
        return [conversion.run(found, self._uri) for found in page], page.token

    # ---- what runs hold ----

    def log_metric(self, run_id: str, metric: Metric) -> None:
        self._client.log_metric(run_id, metric.key, metric.value, metric.timestamp, metric.step)
        if metric.model_id:
            self._log_model_metrics(run_id, (metric,))

    def log_batch(
        self, run_id: str, metrics: Sequence[Metric], params: Sequence[Param], tags: Sequence[RunTag]
    ) -> None:
        # Nothing is logged of a batch with a bad key.
        for kind, items in (("metric", metrics), ("param", params), ("tag", tags)):
            for item in items:
                check_key(item.key, kind)
        if params:
            self._client.log_params(run_id, _distinct(params))
        for timestamp, step, row in _rows(metrics):
            self._client.log_metrics(run_id, row, timestamp, step)
        self._log_model_metrics(run_id, metrics)
        if tags:
            self._client.set_tags(run_id, {tag.key: str(tag.value)[:MAX_TAG_CHARS] for tag in tags})

    def delete_tag(self, run_id: str, key: str) -> None:
        self._client.delete_tag(run_id, key)

    def get_metric_history(
        self, run_id: str, metric_key: str, max_results: int | None = None, page_token: str | None = None
    ) -> PagedList[Metric]:
        """All points at once: they come as a stream."""
        found = self._client.get_metric_history(run_id, metric_key)
        return PagedList(conversion.history(found), None)

    def log_inputs(
        self,
        run_id: str,
        datasets: Sequence[DatasetInput] | None = None,
        models: Sequence[LoggedModelInput] | None = None,
    ) -> None:
        self._client.log_inputs(
            run_id,
            [conversion.dataset_input_of(each) for each in datasets or ()],
            [each.model_id for each in models or ()],
        )

    def log_outputs(self, run_id: str, models: Sequence[LoggedModelOutput]) -> None:
        self._client.log_outputs(run_id, [ModelOutput(each.model_id, each.step) for each in models])

    def record_logged_model(self, run_id: str, mlflow_model: Any) -> None:
        self._client.record_model(run_id, json.dumps(mlflow_model.get_tags_dict()))

    def link_traces_to_run(self, trace_ids: Sequence[str], run_id: str) -> None:
        raise NotImplementedError  # the caller is told NOT_IMPLEMENTED, see errors.py

    # ---- logged models ----

    def create_logged_model(
        self,
        experiment_id: str,
        name: str | None = None,
        source_run_id: str | None = None,
        tags: Sequence[LoggedModelTag] | None = None,
        params: Sequence[LoggedModelParameter] | None = None,
        model_type: str | None = None,
    ) -> LoggedModel:
        params = list(params or ())
        first, rest = params[:_MAX_MODEL_PARAMS], params[_MAX_MODEL_PARAMS:]
        model = self._client.create_logged_model(
            str(experiment_id), name, source_run_id, values(tags), values(first), model_type
        )
        if rest:
            self.log_logged_model_params(model.model_id, rest)
            return self.get_logged_model(model.model_id)
        return conversion.logged_model(model, self._uri)

    def log_logged_model_params(self, model_id: str, params: Sequence[LoggedModelParameter]) -> None:
        for first in range(0, len(params), _MAX_MODEL_PARAMS):
            self._client.log_model_params(model_id, values(params[first : first + _MAX_MODEL_PARAMS]))

    def get_logged_model(self, model_id: str, allow_deleted: bool = False) -> LoggedModel:
        found = self._client.get_logged_model(model_id, allow_deleted=allow_deleted)
        return conversion.logged_model(found, self._uri)

    def finalize_logged_model(self, model_id: str, status: LoggedModelStatus) -> LoggedModel:
        self._client.finalize_logged_model(model_id, LoggedModelStatus(status).value)
        return self.get_logged_model(model_id)

    def set_logged_model_tags(self, model_id: str, tags: Sequence[LoggedModelTag]) -> None:
        self._client.set_logged_model_tags(model_id, values(tags))

    def delete_logged_model_tag(self, model_id: str, key: str) -> None:
        self._client.delete_logged_model_tag(model_id, key)

    def delete_logged_model(self, model_id: str) -> None:
        self._client.delete_logged_model(model_id)

    def search_logged_models(
        self,
        experiment_ids: Sequence[str],
        filter_string: str | None = None,
        datasets: Sequence[dict[str, Any]] | None = None,
        max_results: int | None = None,
        order_by: Sequence[dict[str, Any]] | None = None,
        page_token: str | None = None,
    ) -> PagedList[LoggedModel]:
        page = self._client.search_logged_models(
            experiment_ids,
            filter_string,
            datasets,
            max_results or SEARCH_LOGGED_MODEL_MAX_RESULTS_DEFAULT,
            order_by,
            page_token,
        )
        return PagedList([conversion.logged_model(found, self._uri) for found in page], page.token)

    def _log_model_metrics(self, run_id: str, metrics: Iterable[Metric]) -> None:
        """Those that were measured of a model are values of the model too."""
        for metric in metrics:
            if metric.model_id:
                named = metric.dataset_name and metric.dataset_digest
                self._client.log_model_metrics(
                    metric.model_id,
                    {metric.key: metric.value},
                    metric.timestamp,
                    metric.step,
                    Dataset(metric.dataset_name, metric.dataset_digest) if named else None,
                    run_id,
                )


def _distinct(params: Sequence[Param]) -> dict[str, str]:
    """Params by key, cut to what a server keeps. A key twice is an error, whatever its values."""
    by_key = {param.key: str(param.value)[:MAX_PARAM_CHARS] for param in params}
    if len(by_key) < len(params):
        keys = [param.key for param in params]
        twice = sorted({key for key in keys if keys.count(key) > 1})
        raise Invalid(f"a batch has one value of each param, got several of {twice}", field="params")
    return by_key


def _rows(metrics: Iterable[Metric]) -> Iterator[tuple[int, int, dict[str, float]]]:
    """Neighbours of one time and step as one row: (timestamp, step, values by key)."""
    row: dict[str, float] = {}
    timestamp = step = 0
    for metric in metrics:
        if row and (metric.timestamp != timestamp or metric.step != step or metric.key in row):
            yield timestamp, step, row
            row = {}
        timestamp, step = metric.timestamp, metric.step
        row[metric.key] = metric.value
    if row:
        yield timestamp, step, row
