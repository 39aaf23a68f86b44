"""runs/*: all that is not points, inputs or outputs."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

from msgspec import Struct

from rekam_gateway.http.backend import Backend
from rekam_gateway.http.endpoints import Endpoints
from rekam_gateway.http.errors import check_max_results
from rekam_gateway.http.inputs_and_outputs import RunInputs, RunOutputs, inputs_of, outputs_of
from rekam_gateway.http.objects import (
    KeyValue,
    Lifecycle,
    ViewType,
    known_form,
    pairs,
    run_params,
    run_tags,
    stage,
    view_of,
)
from rekam_gateway.http.wire import Int32, Int64, Number, Text, number, numbers
from rekam_proto.tracking.v1 import run_pb2

MOST_RESULTS = 50_000
# A page may have tens of thousands: between these, others have their turn.
_RUNS_AT_A_TIME = 100

T = TypeVar("T")
endpoints = Endpoints()


class RunStatus(enum.StrEnum):
    RUNNING = "RUNNING"
    SCHEDULED = "SCHEDULED"
    FINISHED = "FINISHED"
    FAILED = "FAILED"
    KILLED = "KILLED"


_STATUS = {
    RunStatus.RUNNING: run_pb2.RUN_STATUS_RUNNING,
    RunStatus.SCHEDULED: run_pb2.RUN_STATUS_SCHEDULED,
    RunStatus.FINISHED: run_pb2.RUN_STATUS_FINISHED,
    RunStatus.FAILED: run_pb2.RUN_STATUS_FAILED,
    RunStatus.KILLED: run_pb2.RUN_STATUS_KILLED,
}
# MLflow's clients know no crashed run, and cannot read one.
_STATUS_NAMES = {number: name for name, number in _STATUS.items()} | {
    run_pb2.RUN_STATUS_CRASHED: RunStatus.FAILED
}


class RunInfo(Struct, omit_defaults=True, gc=False):
    run_uuid: str
    run_id: str
    experiment_id: str
    run_name: str
    user_id: str
    status: RunStatus
    start_time: Int64
    artifact_uri: str
    lifecycle_stage: Lifecycle
    end_time: Int64 = 0


class Metric(Struct, gc=False):
    key: str
    value: Number
    timestamp: Int64
    step: Int64


class RunData(Struct, omit_defaults=True):
    metrics: list[Metric] = []
    params: list[KeyValue] = []
    tags: list[KeyValue] = []


class Run(Struct):
    info: RunInfo
    data: RunData
    inputs: RunInputs
    outputs: RunOutputs


class RunAnswer(Struct):
    run: Run


class RunInfoAnswer(Struct):
    run_info: RunInfo


class CreateRun(Struct):
    experiment_id: str = ""
    user_id: str = ""
    run_name: str = ""
    start_time: Int64 = 0
    tags: list[KeyValue] = []


class UpdateRun(Struct):
    run_id: Text
    status: RunStatus | None = None
    end_time: Int64 | None = None
    run_name: str = ""


class RunId(Struct):
    run_id: Text


class SearchRuns(Struct):
    experiment_ids: list[str] = []
    filter: str = ""
    run_view_type: ViewType = ViewType.ACTIVE_ONLY
    max_results: Int32 = 1_000
    order_by: list[str] = []
    page_token: str = ""


class FoundRuns(Struct, omit_defaults=True):
    runs: list[Run] = []
    next_page_token: str = ""


class RunKeyValue(Struct):
    run_id: Text
    key: Text
    value: str = ""


class RunTagKey(Struct):
    run_id: Text
    key: Text


@endpoints.post(
    "mlflow/runs/create", renamed={"name": "run_name", "user": "user_id", "start_ms": "start_time"}
)
async def create(backend: Backend, asked: CreateRun) -> RunAnswer:
    moment = backend.points.runs.moment()
    created = await backend.runs.CreateRun(
        run_pb2.CreateRunRequest(
            experiment_id=asked.experiment_id,
            name=asked.run_name,
            user=asked.user_id,
            start_ms=asked.start_time,
            tags=run_tags(asked.tags),
        )
    )
    # Its first points come soon: nobody need be asked then.
    backend.points.runs.note_active(created.run_id, created.experiment_id, moment)
    return RunAnswer(run_of(created))


@endpoints.get("mlflow/runs/get")
async def get(backend: Backend, asked: RunId) -> RunAnswer:
    request = run_pb2.GetRunRequest(run_id=known_form(asked.run_id))
    return RunAnswer(run_of(await backend.runs.GetRun(request)))


@endpoints.post("mlflow/runs/update", renamed={"name": "run_name", "end_ms": "end_time"})
async def update(backend: Backend, asked: UpdateRun) -> RunInfoAnswer:
    status = None if asked.status is None else _STATUS[asked.status]
    updated = await backend.runs.UpdateRun(
        run_pb2.UpdateRunRequest(
            run_id=known_form(asked.run_id), status=status, end_ms=asked.end_time, name=asked.run_name
        )
    )
    return RunInfoAnswer(_info(updated.run))


@endpoints.post("mlflow/runs/delete")
async def delete(backend: Backend, asked: RunId) -> None:
    await backend.runs.DeleteRun(run_pb2.DeleteRunRequest(run_id=known_form(asked.run_id)))


@endpoints.post("mlflow/runs/restore")
async def restore(backend: Backend, asked: RunId) -> None:
    await backend.runs.RestoreRun(run_pb2.RestoreRunRequest(run_id=known_form(asked.run_id)))


@endpoints.post("mlflow/runs/search")
async def search(backend: Backend, asked: SearchRuns) -> FoundRuns:
    check_max_results(asked.max_results, MOST_RESULTS)
    found = await backend.runs.SearchRuns(
        run_pb2.SearchRunsRequest(
            experiment_ids=asked.experiment_ids,
            filter=asked.filter,
            order_by=asked.order_by,
            view=view_of(asked.run_view_type),
            page_size=asked.max_results,
            page_token=asked.page_token,
            as_columns=True,
        )
    )
    runs: list[Run] = []
    each = zip(found.runs, _data_of_each(found.columns), strict=True)
    while some := [_run(run, data) for run, data in islice(each, _RUNS_AT_A_TIME)]:
        runs += some
        await asyncio.sleep(0)
    return FoundRuns(runs, found.next_page_token)


@endpoints.post("mlflow/runs/log-parameter", renamed={"params[0].": ""})
async def log_parameter(backend: Backend, asked: RunKeyValue) -> None:
    request = run_pb2.LogParamsRequest(run_id=known_form(asked.run_id), params=run_params([asked]))
    await backend.runs.LogParams(request)


@endpoints.post("mlflow/runs/set-tag", renamed={"tags[0].": ""})
async def set_tag(backend: Backend, asked: RunKeyValue) -> None:
    request = run_pb2.SetTagsRequest(run_id=known_form(asked.run_id), tags=run_tags([asked]))
    await backend.runs.SetTags(request)


@endpoints.post("mlflow/runs/delete-tag", renamed={"keys[0]": "key"})
async def delete_tag(backend: Backend, asked: RunTagKey) -> None:
    request = run_pb2.DeleteTagsRequest(run_id=known_form(asked.run_id), keys=[asked.key])
    await backend.runs.DeleteTags(request)


def run_of(run: run_pb2.Run) -> Run:
    metrics = [
        Metric(metric.key, number(metric.value), metric.time_us // 1_000, metric.step)
        for metric in run.metrics
    ]
    return _run(run, RunData(metrics, pairs(run.params), pairs(run.tags)))


def _run(run: run_pb2.Run, data: RunData) -> Run:
    return Run(info=_info(run), data=data, inputs=inputs_of(run), outputs=outputs_of(run))


def _data_of_each(columns: run_pb2.RunColumns) -> Iterator[RunData]:
    """Of one run after another."""
    found = columns.metrics
    times = (time_us // 1_000 for time_us in found.times_us)
    metrics = map(Metric, found.keys, numbers(found.values), times, found.steps)
    return map(
        RunData,
        _cut(metrics, found.counts),
        *(
            _cut(map(KeyValue, pairs.keys, pairs.values), pairs.counts)
            for pairs in (columns.params, columns.tags)
        ),
    )


def _cut(values: Iterator[T], counts: Iterable[int]) -> Iterator[list[T]]:
    return (list(islice(values, count)) for count in counts)


def _info(run: run_pb2.Run) -> RunInfo:
    return RunInfo(
        run_uuid=run.run_id,
        run_id=run.run_id,
        experiment_id=run.experiment_id,
        run_name=run.name,
        user_id=run.user,
        status=_STATUS_NAMES[run.status],
        start_time=run.start_ms,
        end_time=run.end_ms,
        artifact_uri=run.artifact_uri,
        lifecycle_stage=stage(run.lifecycle),
    )
