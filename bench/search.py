"""Searches over many runs, each with 10 params and 10 metrics, through the gateway."""

from __future__ import annotations

import statistics
import time

from bench.report import Figures
from bench.search_data import METRIC, TAG, load_runs
from bench.stack import Stack
from rekam_proto.tracking.v1 import run_pb2, run_pb2_grpc

REPEATS = 9
PAGE = 100

SEARCHES = {
    "recent": run_pb2.SearchRunsRequest(),
    "metric": run_pb2.SearchRunsRequest(
        filter=f"metrics.{METRIC} > 0.5", order_by=[f"metrics.{METRIC} DESC"]
    ),
    "tag_like": run_pb2.SearchRunsRequest(filter=f"tags.{TAG} LIKE '%7%'"),
}


def measure_search(stack: Stack, figures: Figures, runs: int) -> None:
    """`search_<runs>_<kind>_ms`: the first page of 100, median over calls."""
    experiment_id = load_runs(stack.environment("tracking-serve")["REKAM_POSTGRES_URL"], runs)
    service = run_pb2_grpc.RunServiceStub(stack.channel)
    for name, search in SEARCHES.items():
        request = run_pb2.SearchRunsRequest(experiment_ids=[experiment_id], page_size=PAGE)
        request.MergeFrom(search)
        seconds = []
        for _ in range(REPEATS):
            started = time.perf_counter()
            found = service.SearchRuns(request).runs
            seconds.append(time.perf_counter() - started)
            if len(found) != PAGE or len(found[0].metrics) != 10 or len(found[0].params) != 10:
                raise RuntimeError(f"search {name} found {len(found)} runs")
        figures.add(f"search_{runs // 1000}k_{name}_ms", statistics.median(seconds) * 1000)
