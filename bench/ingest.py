"""Ingest: frames from a load generator until they can be queried, checked point by point."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import numpy as np

from bench.checksum import Checksum
from bench.report import Figures
from bench.stack import Stack
from rekam_proto.tracking.v1 import metric_pb2, metric_pb2_grpc

KEYS_PER_READ = 1_000


def measure_ingest(
    stack: Stack, figures: Figures, name: str, runs: int, keys: int, rows: int, points: int
) -> None:
    """One figure `ingest_<name>_points_per_s`, from the first log to the last point queryable."""
    with stack.watched_memory() as memory:
        result = load(stack, runs, keys, rows, points)
    verify(stack, result["expected"])
    figures.add(f"ingest_{name}_points_per_s", result["points"] / result["queryable_s"])
    figures.add(f"ingest_{name}_acknowledged_points_per_s", result["points"] / result["acknowledged_s"])
    figures.add_memory(f"ingest_{name}", memory)


def load(stack: Stack, runs: int, keys: int, rows: int, points: int) -> dict[str, Any]:
    """Run the load generator; `expected` of its result is what must be found, by run."""
    command = [sys.executable, "-m", "bench.load", "--grpc", stack.target]
    for option, value in {"runs": runs, "keys": keys, "rows": rows, "points": points}.items():
        command += [f"--{option}", str(value)]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    result: dict[str, Any] = json.loads(output)
    result["expected"] = {run: Checksum(**found) for run, found in result["expected"].items()}
    return result


def verify(stack: Stack, expected: dict[str, Checksum]) -> None:
    """Read every point back and compare count and checksum; raises when anything differs."""
    metrics = metric_pb2_grpc.MetricServiceStub(stack.channel)
    stream = stack.channel.unary_stream(
        "/rekam_proto.tracking.v1.MetricService/StreamHistory",
        request_serializer=metric_pb2.StreamHistoryRequest.SerializeToString,
        response_deserializer=metric_pb2.HistoryBlockView.FromString,
    )
    for run_id, want in expected.items():
        listed = metrics.ListMetrics(metric_pb2.ListMetricsRequest(run_id=run_id)).metrics
        found = Checksum()
        for first in range(0, len(listed), KEYS_PER_READ):
            keys = [metric.key for metric in listed[first : first + KEYS_PER_READ]]
            for block in stream(metric_pb2.StreamHistoryRequest(run_ids=[run_id], keys=keys)):
                found.add(np.frombuffer(block.points.values, "<f8"), np.frombuffer(block.points.steps, "<i8"))
        if found != want:
            raise RuntimeError(f"run {run_id}: found {found}, sent {want}")
