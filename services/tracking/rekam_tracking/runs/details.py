"""Rows of the statements `details` and `values` to Run messages, or to columns beside them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from rekam_proto.tracking.v1 import dataset_pb2, read_pb2, run_pb2
from rekam_runtime.postgres import Connection, Row, Statements
from rekam_tracking.portions import LIGHT_BYTES, MAX_BYTES_OF_ONE

_statements = Statements.load("rekam_tracking.runs", "query.sql")


async def fetch_runs(
    connection: Connection, run_ids: Sequence[str], *, model_inputs: bool
) -> list[run_pb2.Run]:
    """Those of the runs that exist, in the order asked; model_inputs: with the models they read."""
    runs, values = await _fetch(connection, run_ids, model_inputs)
    # There are many of these in a page: made in their places, not copied there.
    for place, key, value in _zipped(values, "param_places", "param_keys", "param_values"):
        runs[place - 1].params.add(key=key, value=value)
    for place, key, value in _zipped(values, "tag_places", "tag_keys", "tag_values"):
        runs[place - 1].tags.add(key=key, value=value)
    for place, key, value, step, time_us in _zipped(
        values, "metric_places", "metric_keys", "metric_values", "metric_steps", "metric_times"
    ):
        runs[place - 1].metrics.add(key=key, value=value, step=step, time_us=time_us)
    return runs


async def fetch_columns(
    connection: Connection, run_ids: Sequence[str], columns: run_pb2.RunColumns
) -> list[run_pb2.Run]:
    """The same without models, params, tags and metrics; the latter three go behind those in the columns."""
    runs, values = await _fetch(connection, run_ids, model_inputs=False)
    for pairs, kind in ((columns.params, "param"), (columns.tags, "tag")):
        pairs.counts.extend(_counts(values[f"{kind}_places"], len(runs)))
        pairs.keys.extend(values[f"{kind}_keys"] or ())
        pairs.values.extend(values[f"{kind}_values"] or ())
    metrics = columns.metrics
    metrics.counts.extend(_counts(values["metric_places"], len(runs)))
    metrics.keys.extend(values["metric_keys"] or ())
    metrics.values.extend(values["metric_values"] or ())
    metrics.steps.extend(values["metric_steps"] or ())
    metrics.times_us.extend(values["metric_times"] or ())
    return runs


async def heavy_runs(connection: Connection, run_ids: Sequence[str]) -> dict[str, int]:
    """Bytes of the schemas and profiles of those that have many."""
    rows = await connection.fetch(_statements.heavy, run_ids, LIGHT_BYTES)
    return {row["run_id"].hex: row["bytes"] for row in rows}


async def _fetch(
    connection: Connection, run_ids: Sequence[str], model_inputs: bool
) -> tuple[list[run_pb2.Run], Row]:
    rows = await connection.fetch(_statements.details, run_ids, model_inputs, MAX_BYTES_OF_ONE)
    values = await connection.fetchrow(_statements.values, [row["run_id"] for row in rows])
    assert values is not None
    return [_run(row) for row in rows], values


def _zipped(values: Row, *columns: str) -> Iterable[Sequence[Any]]:
    return zip(*(values[column] or () for column in columns), strict=True)


def _counts(places: Sequence[int] | None, runs: int) -> list[int]:
    found = Counter(places or ())
    return [found[place] for place in range(1, runs + 1)]


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
        inputs=_inputs(row["datasets"] or (), row["model_inputs"] or ()),
        outputs=_outputs(row["output_models"] or (), row["output_steps"] or ()),
    )


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
