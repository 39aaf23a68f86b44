"""metrics/*: histories, as JSON. Equal points count once: a request that was repeated adds nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from itertools import repeat

import grpc.aio
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from rekam_gateway.http.backend import Backend
from rekam_gateway.http.endpoints import Endpoints
from rekam_gateway.http.errors import in_terms_of, invalid_value
from rekam_gateway.http.sampling import Sampling, Steps
from rekam_gateway.http.wire import Int32, Int64, Number, Text, encode, number, read_query
from rekam_proto.tracking.v1 import metric_pb2
from rekam_runtime import names
from rekam_runtime.errors import Invalid, NotFound
from rekam_runtime.rpc.status import error_from_rpc

# Points of one call to tracking.
PAGE = 65_536
# Points written between two turns of the loop: some milliseconds.
SLICE = 8_192
MOST_RUNS = 100
# Of a run, or of all runs where they are not sampled.
MOST_VALUES = 25_000
MOST_SAMPLES = 2_500

_JSON = "application/json"

endpoints = Endpoints()


class GetHistory(Struct):
    run_id: Text
    metric_key: Text
    max_results: Int32 | None = None
    page_token: str = ""


class Value(Struct, gc=False):
    key: str
    value: Number
    timestamp: Int64
    step: Int64


class History(Struct, omit_defaults=True):
    metrics: list[Value] = []
    next_page_token: str = ""


class GetHistoryBulk(Struct):
    run_id: list[str] = []
    metric_key: str | None = None
    max_results: Int32 = MOST_VALUES


class GetHistoryBulkInterval(Struct, kw_only=True):
    run_ids: list[str] = []
    metric_key: Text
    start_step: Int32 | None = None
    end_step: Int32 | None = None
    max_results: Int32 = MOST_SAMPLES


class ValueOfRun(Struct, gc=False):
    key: str
    run_id: str
    step: Int64
    timestamp: Int64
    value: Number


class Bulk(Struct):
    metrics: list[ValueOfRun]


class Interval(Struct, omit_defaults=True):
    metrics: list[ValueOfRun] = []


@endpoints.raw("mlflow/metrics/get-history", ["GET"], request=GetHistory, response=History)
async def get_history(backend: Backend, request: Request) -> Response:
    asked = read_query(GetHistory, request.query_params, {})
    if asked.max_results is not None and asked.max_results < 1:
        raise invalid_value("max_results", asked.max_results, "It must be a positive integer.")
    if names.hex_id_fault(asked.run_id) or names.key_fault(asked.metric_key):
        return Response(b"{}", media_type=_JSON)
    written = _written(asked.metric_key, _pages(backend, asked))
    try:
        first = await anext(written)
    except grpc.aio.AioRpcError as error:
        refused = error_from_rpc(error)
        if isinstance(refused, NotFound):
            return Response(b"{}", media_type=_JSON)
        raise in_terms_of(asked, refused, {}) from None
    return StreamingResponse(_chained(first, written), media_type=_JSON)


@endpoints.get("mlflow/metrics/get-history-bulk", ajax_only=True)
async def get_history_bulk(backend: Backend, asked: GetHistoryBulk) -> Bulk:
    if not asked.run_id:
        raise Invalid("GetMetricHistoryBulk request must specify at least one run_id.")
    if len(asked.run_id) > MOST_RUNS:
        raise Invalid(
            f"GetMetricHistoryBulk request cannot specify more than {MOST_RUNS} run_ids. "
            f"Received {len(asked.run_id)} run_ids."
        )
    if asked.metric_key is None:
        raise Invalid("GetMetricHistoryBulk request must specify a metric_key.")
    if asked.max_results < 1:
        raise invalid_value("max_results", asked.max_results, "It must be a positive integer.")
    most = min(asked.max_results, MOST_VALUES)
    found: list[ValueOfRun] = []
    blocks = _blocks(backend, sorted(set(asked.run_id)), asked.metric_key)
    async with aclosing(blocks):
        async for block in blocks:
            found += block.written(slice(most - len(found)))
            if len(found) == most:
                break
    return Bulk(found)


@endpoints.get("mlflow/metrics/get-history-bulk-interval")
async def get_history_bulk_interval(backend: Backend, asked: GetHistoryBulkInterval) -> Interval:
    steps = _checked_interval(asked)
    run_ids = list(dict.fromkeys(asked.run_ids))
    sampling = Sampling()
    async for block in _blocks(backend, run_ids, asked.metric_key, steps):
        sampling.add(block.run_id, block.steps)
    picked = sampling.pick(asked.max_results)
    by_run: dict[str, list[ValueOfRun]] = {}
    async for block in _blocks(backend, run_ids, asked.metric_key, steps):
        found = by_run.setdefault(block.run_id, [])
        found += block.written(np.flatnonzero(np.isin(block.steps, picked)))
        # They come by time.
        found.sort(key=lambda value: value.step)
        del found[MOST_VALUES:]
    return Interval([value for found in by_run.values() for value in found])


def _checked_interval(asked: GetHistoryBulkInterval) -> metric_pb2.Range:
    """The range of steps."""
    if not asked.run_ids:
        raise Invalid("GetMetricHistoryBulkInterval request must specify at least one run_id.")
    if len(asked.run_ids) > MOST_RUNS:
        raise Invalid(
            f"GetMetricHistoryBulkInterval request must specify at most {MOST_RUNS} run_ids. "
            f"Received {len(asked.run_ids)} run_ids."
        )
    if not 1 <= asked.max_results <= MOST_SAMPLES:
        raise invalid_value(
            "max_results", asked.max_results, f"max_results must be between 1 and {MOST_SAMPLES}."
        )
    if (asked.start_step is None) != (asked.end_step is None):
        raise Invalid("If either start step or end step are specified, both must be specified.")
    if asked.start_step is not None and asked.end_step is not None and asked.start_step > asked.end_step:
        raise Invalid(
            "end_step must be greater than start_step. "
            f"Found start_step={asked.start_step} and end_step={asked.end_step}."
        )
    return metric_pb2.Range(**{"from": asked.start_step, "to": asked.end_step})


async def _pages(backend: Backend, asked: GetHistory) -> AsyncIterator[metric_pb2.GetHistoryResponseView]:
    """Page after page of what is asked for; the next is fetched while one is written."""
    left = asked.max_results

    async def fetched(token: str) -> metric_pb2.GetHistoryResponseView:
        request = metric_pb2.GetHistoryRequest(
            run_id=asked.run_id,
            key=asked.metric_key,
            page_size=PAGE if left is None else min(PAGE, left),
            page_token=token,
            distinct=True,
        )
        return await backend.history_page(request)

    fetching = asyncio.create_task(fetched(asked.page_token))
    try:
        while True:
            page = await fetching
            if left is not None:
                left -= len(page.points.values) // 8
            goes_on = bool(page.next_page_token) and left != 0
            if goes_on:
                fetching = asyncio.create_task(fetched(page.next_page_token))
            yield page
            if not goes_on:
                return
    finally:
        fetching.cancel()


async def _written(key: str, pages: AsyncIterator[metric_pb2.GetHistoryResponseView]) -> AsyncIterator[bytes]:
    """The answer in parts, with a turn for others after each."""
    before, token = b'{"metrics":[', ""
    async for page in pages:
        token = page.next_page_token
        steps, times_ms, values = _columns(page.points)
        for first in range(0, len(steps), SLICE):
            part = slice(first, first + SLICE)
            columns = (_numbers(values[part]), times_ms[part].tolist(), steps[part].tolist())
            yield before + encode(list(map(Value, repeat(key), *columns)))[1:-1]
            before = b","
            await asyncio.sleep(0)
    if before != b",":
        yield b"{}"
    else:
        yield b'],"next_page_token":' + encode(token) + b"}" if token else b"]}"


async def _chained(first: bytes, others: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for part in others:
        yield part


@dataclass(frozen=True, slots=True)
class _Block:
    """Points of one run, in the order of time, step, value."""

    run_id: str
    key: str
    steps: Steps
    times_ms: Steps
    values: NDArray[np.float64]

    def written(self, index: slice | NDArray[np.intp]) -> Iterator[ValueOfRun]:
        columns = (self.steps[index].tolist(), self.times_ms[index].tolist(), _numbers(self.values[index]))
        return map(ValueOfRun, repeat(self.key), repeat(self.run_id), *columns)


async def _blocks(
    backend: Backend, run_ids: Sequence[str], key: str, steps: metric_pb2.Range | None = None
) -> AsyncGenerator[_Block, None]:
    """The points of runs, one after the other; there are none of what cannot exist."""
    known = [run_id for run_id in run_ids if not names.hex_id_fault(run_id)]
    if not known or names.key_fault(key):
        return
    request = metric_pb2.StreamHistoryRequest(
        run_ids=known, keys=[key], steps=steps, distinct=True, pass_missing=True
    )
    call = backend.stream_history(request)
    try:
        async for block in call:
            yield _Block(block.run_id, key, *_columns(block.points))
    finally:
        call.cancel()


def _columns(points: metric_pb2.PointsView) -> tuple[Steps, Steps, NDArray[np.float64]]:
    """Steps, times in milliseconds, values."""
    return (
        np.frombuffer(points.steps, "<i8"),
        np.frombuffer(points.times_us, "<i8") // 1_000,
        np.frombuffer(points.values, "<f8"),
    )


def _numbers(values: NDArray[np.float64]) -> list[Number]:
    written: list[Number] = values.tolist()
    for index in np.flatnonzero(~np.isfinite(values)).tolist():
        written[index] = number(float(values[index]))
    return written
