"""Rows of the statement `details` to Run messages."""

from __future__ import annotations

from collections.abc import Sequence

from rekam_proto.tracking.v1 import read_pb2, run_pb2
from rekam_runtime.postgres import Connection, Row, Statements

_statements = Statements.load("rekam_tracking.runs", "query.sql")


async def fetch_runs(connection: Connection, run_ids: Sequence[str]) -> list[run_pb2.Run]:
    """Those of the runs that exist, in the order asked."""
    return [_run(row) for row in await connection.fetch(_statements.details, run_ids)]


def _run(row: Row) -> run_pb2.Run:
    return run_pb2.Run(
        run_id=row["run_id"].hex,
        experiment_id=str(row["experiment_id"]),
        name=row["name"],
        user=row["user_name"],
        status=row["status"],
        start_ms=row["start_ms"] or 0,
        end_ms=row["end_ms"] or 0,
        lifecycle=row["lifecycle"],
        artifact_uri=row["artifact_uri"],
        params=map(_param, row["param_keys"] or (), row["param_values"] or ()),
        tags=map(_tag, row["tag_keys"] or (), row["tag_values"] or ()),
        metrics=map(
            _metric,
            row["metric_keys"] or (),
            row["metric_values"] or (),
            row["metric_steps"] or (),
            row["metric_times"] or (),
        ),
    )


def _param(key: str, value: str) -> read_pb2.Param:
    return read_pb2.Param(key=key, value=value)


def _tag(key: str, value: str) -> read_pb2.Tag:
    return read_pb2.Tag(key=key, value=value)


def _metric(key: str, value: float, step: int, time_us: int) -> run_pb2.LatestMetric:
    return run_pb2.LatestMetric(key=key, value=value, step=step, time_us=time_us)
