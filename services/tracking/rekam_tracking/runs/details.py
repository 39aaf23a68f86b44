"""Rows of the statement `details` to Run messages."""

from __future__ import annotations

from collections.abc import Sequence

from rekam_proto.tracking.v1 import dataset_pb2, read_pb2, run_pb2
from rekam_runtime.postgres import Connection, Row, Statements
from rekam_tracking.portions import LIGHT_BYTES, MAX_BYTES_OF_ONE

_statements = Statements.load("rekam_tracking.runs", "query.sql")


async def fetch_runs(
    connection: Connection, run_ids: Sequence[str], *, model_inputs: bool
) -> list[run_pb2.Run]:
    """Those of the runs that exist, in the order asked; model_inputs: with the models they read."""
    rows = await connection.fetch(_statements.details, run_ids, model_inputs, MAX_BYTES_OF_ONE)
    return [_run(row) for row in rows]


async def heavy_runs(connection: Connection, run_ids: Sequence[str]) -> dict[str, int]:
    """Bytes of the schemas and profiles of those that have many."""
    rows = await connection.fetch(_statements.heavy, run_ids, LIGHT_BYTES)
    return {row["run_id"].hex: row["bytes"] for row in rows}


def _run(row: Row) -> run_pb2.Run:
    run = run_pb2.Run(
        run_id=row["run_id"].hex,
        experiment_id=str(row["experiment_id"]),
        name=row["name"],
        user=row["user_name"],
        status=row["status"],
        start_ms=row["start_ms"] or 0,
        end_ms=row["end_ms"] or 0,
        lifecycle=row["lifecycle"],
        artifact_uri=row["artifact_uri"],
        inputs=_inputs(row["datasets"] or (), row["model_inputs"] or ()),
        outputs=_outputs(row["output_models"] or (), row["output_steps"] or ()),
    )
    # There are many of these in a page: made in their places, not copied there.
    for key, value in zip(row["param_keys"] or (), row["param_values"] or (), strict=True):
        run.params.add(key=key, value=value)
    for key, value in zip(row["tag_keys"] or (), row["tag_values"] or (), strict=True):
        run.tags.add(key=key, value=value)
    if row["metric_keys"]:
        columns = (row["metric_keys"], row["metric_values"], row["metric_steps"], row["metric_times"])
        for key, value, step, time_us in zip(*columns, strict=True):
            run.metrics.add(key=key, value=value, step=step, time_us=time_us)
    return run


def _inputs(datasets: Sequence[Row], models: Sequence[str]) -> run_pb2.RunInputs | None:
    if not datasets and not models:
        return None
    return run_pb2.RunInputs(
        datasets=[_dataset_input(*dataset) for dataset in datasets],
        models=[run_pb2.ModelInput(model_id=id) for id in models],
    )


def _outputs(models: Sequence[str], steps: Sequence[int]) -> run_pb2.RunOutputs | None:
    return run_pb2.RunOutputs(models=map(_output, models, steps)) if models else None


def _dataset_input(
    name: str,
    digest: str,
    source_type: str,
    source: str,
    schema: str,
    profile: str,
    tag_keys: Sequence[str],
    tag_values: Sequence[str],
) -> dataset_pb2.DatasetInput:
    return dataset_pb2.DatasetInput(
        dataset=dataset_pb2.Dataset(
            name=name,
            digest=digest,
            source_type=source_type,
            source=source,
            schema=schema,
            profile=profile,
        ),
        tags=map(_tag, tag_keys, tag_values),
    )


def _output(model_id: str, step: int) -> run_pb2.ModelOutput:
    return run_pb2.ModelOutput(model_id=model_id, step=step)


def _tag(key: str, value: str) -> read_pb2.Tag:
    return read_pb2.Tag(key=key, value=value)
