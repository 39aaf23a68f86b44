"""Rebuilding the projection of tracking from the log, against the live rate of the very same data."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from bench.ingest import load, verify
from bench.report import Figures
from bench.stack import Stack
from rekam_proto.log.v1 import log_pb2, log_pb2_grpc
from rekam_proto.tracking.v1 import read_pb2, run_pb2, run_pb2_grpc

POINTS = 100_000_000
# Beside the points: runs with params and tags, an event each.
RUNS = 1_000
CREATORS = 8
SERVICE = "tracking"
DEADLINE_S = 300


def measure_rebuild(stack: Stack, figures: Figures) -> None:
    """`rebuild_points_per_s`, `rebuild_records_per_s`, and the first as a multiple of live ingestion."""
    result = load(stack, runs=4, keys=100, rows=80, points=POINTS)
    live = result["points"] / result["queryable_s"]
    _create_runs(stack)
    service = log_pb2_grpc.LogServiceStub(stack.channel)
    service.StartRebuild(log_pb2.StartRebuildRequest(service=SERVICE, actor="bench"))
    *_, last = service.WatchRebuild(log_pb2.WatchRebuildRequest(service=SERVICE), timeout=DEADLINE_S)
    if last.state != log_pb2.REBUILD_STATE_DONE or last.points != result["points"]:
        raise RuntimeError(f"the rebuild ended as {last}")
    verify(stack, result["expected"])
    rate = last.points / last.projecting_s
    figures.add("rebuild_points_per_s", rate)
    figures.add("rebuild_records_per_s", last.records / last.projecting_s)
    figures.add("rebuild_live_points_per_s", live)
    figures.add("rebuild_times_live", rate / live)
    figures.add("rebuild_comparing_s", last.comparing_s)


def _create_runs(stack: Stack) -> None:
    runs = run_pb2_grpc.RunServiceStub(stack.channel)
    params = [read_pb2.Param(key=f"p{n}", value=str(n)) for n in range(10)]
    tags = [read_pb2.Tag(key=f"t{n}", value=f"text {n}") for n in range(3)]

    def create(_: int) -> None:
        runs.CreateRun(run_pb2.CreateRunRequest(experiment_name="rebuilt", params=params, tags=tags))

    with ThreadPoolExecutor(CREATORS) as creators:
        list(creators.map(create, range(RUNS)))
