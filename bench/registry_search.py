"""Searches among a million versions in 10,000 models, through the gateway."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

from bench.registry_data import SEARCHES, Search, load_versions
from bench.report import Figures
from bench.stack import Stack
from rekam_proto.registry.v1 import model_pb2, model_pb2_grpc, read_pb2, version_pb2, version_pb2_grpc

REPEATS = 9
PAGE = 100
SKIPPED_PAGE = 10_000


def measure_registry_search(stack: Stack, figures: Figures) -> None:
    """`registry_1m_<search>_ms`: a page of 100, median over calls."""
    load_versions(stack.environment("registry-serve")["REKAM_POSTGRES_URL"])
    versions = version_pb2_grpc.ModelVersionServiceStub(stack.channel)
    models = model_pb2_grpc.RegisteredModelServiceStub(stack.channel)
    for name, search in SEARCHES.items():
        call: Callable[[Any], Any] = versions.SearchModelVersions
        request: Any = version_pb2.SearchModelVersionsRequest()
        if search.of_models:
            call, request = models.SearchRegisteredModels, model_pb2.SearchRegisteredModelsRequest()
        request.filter = search.filter
        request.order_by.extend(search.order_by)
        if search.as_of_us:
            request.as_of.CopyFrom(read_pb2.AsOf(time_us=search.as_of_us))
        request.page_size = SKIPPED_PAGE
        for _ in range(search.skipped):
            request.page_token = call(request).next_page_token
        request.page_size = PAGE
        figures.add(f"registry_1m_{name}_ms", statistics.median(_times_ms(call, request, search)))


def _times_ms(call: Callable[[Any], Any], request: Any, search: Search) -> list[float]:
    found = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        answer = call(request)
        found.append((time.perf_counter() - began) * 1_000)
        rows = answer.models if search.of_models else answer.versions
        if len(rows) != search.found:
            raise RuntimeError(f"{search} found {len(rows)}")
    return found
