"""Reads of one metric with a million points: the whole history, and a chart of it."""

from __future__ import annotations

import statistics
import time

from bench.load import Stream, make_plan, wait_until_queryable
from bench.report import Figures
from bench.stack import Stack
from rekam_proto.tracking.v1 import metric_pb2, metric_pb2_grpc

POINTS = 1_000_000
KEYS = 10
REPEATS = 7


def measure_reads(stack: Stack, figures: Figures) -> None:
    """`history_points_per_s` and `buckets_ms`, medians over several calls through the gateway."""
    plan = make_plan(runs=1, keys=KEYS, rows=800, points=POINTS * KEYS, seed=7)
    Stream(stack.channel).send(plan.opening + plan.frames, first_id=1)
    wait_until_queryable(stack.channel, plan)
    (run_id,) = plan.run_ids
    metrics = metric_pb2_grpc.MetricServiceStub(stack.channel)
    key = metrics.ListMetrics(metric_pb2.ListMetricsRequest(run_id=run_id)).metrics[0].key

    request = metric_pb2.StreamHistoryRequest(run_ids=[run_id], keys=[key])
    seconds = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        points = sum(len(block.points.values) for block in metrics.StreamHistory(request))
        seconds.append(time.perf_counter() - started)
        if points != POINTS:
            raise RuntimeError(f"history has {points} points of {POINTS}")
    figures.add("history_points_per_s", POINTS / statistics.median(seconds))

    buckets = metric_pb2.GetBucketsRequest(run_ids=[run_id], keys=[key], buckets=1000)
    seconds = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        (series,) = metrics.GetBuckets(buckets).series
        seconds.append(time.perf_counter() - started)
        if sum(series.count) != POINTS or len(series.index) != 1000:
            raise RuntimeError(f"buckets hold {sum(series.count)} points in {len(series.index)}")
    figures.add("buckets_ms", statistics.median(seconds) * 1000)
