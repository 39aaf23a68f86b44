"""runs/log-metric and runs/log-batch: points go straight into the log, the rest to the services."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress

import grpc.aio
from msgspec import Struct

from rekam_gateway.http.backend import Backend
from rekam_gateway.http.endpoints import Endpoints
from rekam_gateway.http.errors import Coded, invalid_value
from rekam_gateway.http.frames import blocks_of
from rekam_gateway.http.objects import KeyValue, known_form, run_params, run_tags
from rekam_gateway.http.wire import Int64, Text, number
from rekam_proto.tracking.v1 import logged_model_pb2, run_pb2
from rekam_runtime import names
from rekam_runtime.errors import Invalid, NotFound, RekamError
from rekam_runtime.rpc.status import error_from_rpc

MOST_METRICS = MOST_ITEMS = 1_000
MOST_PARAMS = MOST_TAGS = 100
# The greatest of which the microseconds are a signed 64-bit number.
MOST_TIMESTAMP = (2**63 - 1) // 1_000

_RUN_ID = re.compile(r"[a-zA-Z0-9][\w\-]{0,255}")

endpoints = Endpoints()


class Metric(Struct, gc=False):
    key: Text
    value: float
    timestamp: Int64
    step: Int64 = 0
    model_id: str = ""
    dataset_name: str = ""
    dataset_digest: str = ""


class LogMetric(Metric, kw_only=True, gc=False):
    run_id: Text


class LogBatch(Struct):
    run_id: Text
    metrics: list[Metric] = []
    params: list[KeyValue] = []
    tags: list[KeyValue] = []


@endpoints.post("mlflow/runs/log-metric")
async def log_metric(backend: Backend, asked: LogMetric) -> None:
    _check_metric(asked, "")
    run_id = known_form(asked.run_id)
    await backend.points.runs.require_lately_active(run_id)
    await _write(backend, run_id, [asked])


@endpoints.post("mlflow/runs/log-batch")
async def log_batch(backend: Backend, asked: LogBatch) -> None:
    """Nothing is written unless all of it is valid; then params, metrics and tags, in this order."""
    if not _RUN_ID.fullmatch(asked.run_id):
        raise invalid_value("run_id", asked.run_id, "It is 1 to 256 letters, digits, '_' and '-'.")
    _check(asked)
    run_id = known_form(asked.run_id)
    if asked.metrics or not (asked.params or asked.tags):
        await backend.points.runs.require_lately_active(run_id)
    if asked.params:
        await _log_params(backend, run_id, asked.params)
    if asked.metrics:
        await _write(backend, run_id, asked.metrics)
    if asked.tags:
        await backend.runs.SetTags(run_pb2.SetTagsRequest(run_id=run_id, tags=run_tags(asked.tags)))


def _check(asked: LogBatch) -> None:
    checked: set[str] = set()
    for index, metric in enumerate(asked.metrics):
        # Nearly every key comes many times.
        if metric.key not in checked or not 0 <= metric.timestamp <= MOST_TIMESTAMP:
            _check_metric(metric, f"metrics[{index}].")
            checked.add(metric.key)
    for what, pairs in (("params", asked.params), ("tags", asked.tags)):
        for index, pair in enumerate(pairs):
            if fault := names.key_fault(pair.key):
                raise invalid_value(f"{what}[{index}].key", pair.key, fault)
    metrics, params, tags = len(asked.metrics), len(asked.params), len(asked.tags)
    _check_count("metrics", metrics, MOST_METRICS)
    _check_count("params", params, MOST_PARAMS)
    _check_count("tags", tags, MOST_TAGS)
    _check_count("metrics, params, and tags", metrics + params + tags, MOST_ITEMS)
    keys: set[str] = set()
    repeated = [pair.key for pair in asked.params if pair.key in keys or keys.add(pair.key)]  # type: ignore[func-returns-value]
    if repeated:
        raise Invalid(
            f"Duplicate parameter keys have been submitted: {repeated}. Please ensure "
            "the request contains only one param value per param key."
        )


def _check_metric(metric: Metric, path: str) -> None:
    if fault := names.key_fault(metric.key):
        raise invalid_value(f"{path}name", metric.key, fault)
    if not 0 <= metric.timestamp <= MOST_TIMESTAMP:
        raise invalid_value(
            f"{path}timestamp",
            metric.timestamp,
            f"metric '{metric.key}' (value={number(metric.value)}). Timestamp must be a nonnegative long "
            f"(64-bit integer) of milliseconds, at most {MOST_TIMESTAMP}",
        )


def _check_count(what: str, count: int, most: int) -> None:
    if count > most:
        raise Invalid(
            f"A batch logging request can contain at most {most} {what}. Got {count} {what}. "
            f"Please split up {what} across multiple requests and try again."
        )


async def _write(backend: Backend, run_id: str, metrics: Sequence[Metric]) -> None:
    """The values of models first: a model that does not exist refuses the request as a whole."""
    of_models: dict[str, list[Metric]] = {}
    for metric in metrics:
        if metric.model_id:
            of_models.setdefault(metric.model_id, []).append(metric)
    for model_id, some in of_models.items():
        await _write_of_model(backend, run_id, model_id, some)
    await backend.points.writers.write(bytes.fromhex(run_id), blocks_of(metrics))


async def _write_of_model(backend: Backend, run_id: str, model_id: str, metrics: Sequence[Metric]) -> None:
    request = logged_model_pb2.LogLoggedModelMetricsRequest(
        model_id=model_id,
        metrics=[
            logged_model_pb2.LoggedModelMetric(
                key=metric.key,
                value=metric.value,
                step=metric.step,
                time_us=metric.timestamp * 1_000,
                dataset_name=metric.dataset_name,
                dataset_digest=metric.dataset_digest,
                run_id=run_id,
            )
            for metric in metrics
        ],
    )
    try:
        await backend.logged_models.LogLoggedModelMetrics(request)
    except grpc.aio.AioRpcError as error:
        refused = error_from_rpc(error)
        if isinstance(refused, NotFound) or refused.field == "model_id":
            raise Coded("BAD_REQUEST", 400, refused.message) from None
        raise refused from None


async def _log_params(backend: Backend, run_id: str, params: Sequence[KeyValue]) -> None:
    try:
        await backend.runs.LogParams(run_pb2.LogParamsRequest(run_id=run_id, params=run_params(params)))
    except grpc.aio.AioRpcError as error:
        refused = error_from_rpc(error)
        if isinstance(refused, Invalid) and refused.field == "params":
            raise await _conflict(backend, run_id, params, refused) from None
        raise refused from None


async def _conflict(
    backend: Backend, run_id: str, params: Sequence[KeyValue], refused: RekamError
) -> RekamError:
    """Every param that has another value already, as a batch says it."""
    stored: dict[str, str] = {}
    with suppress(grpc.aio.AioRpcError):
        run = await backend.runs.GetRun(run_pb2.GetRunRequest(run_id=run_id))
        stored = {param.key: param.value for param in run.params}
    other = [
        {"key": param.key, "old_value": stored[param.key], "new_value": param.value}
        for param in run_params(params)
        if stored.get(param.key, param.value) != param.value
    ]
    if not other:
        return refused
    return Invalid(
        f"Changing param values is not allowed. Params were already logged='{other}' for run ID='{run_id}'."
    )
