"""Datasets and the runs that read them: events to rows, many at a time."""

from __future__ import annotations

from collections.abc import Iterable

from google.protobuf.message import Message

from rekam_proto.tracking.v1 import dataset_pb2, run_pb2
from rekam_runtime.postgres import Connection, Statements

_statements = Statements.load("rekam_tracking.datasets", "projection.sql")
CONTEXT_TAG = "mlflow.data.context"


async def apply(connection: Connection, events: Iterable[Message]) -> None:
    """Write events in their order; those of other nouns are passed over."""
    inputs = [
        (event, input)
        for event in events
        if isinstance(event, run_pb2.InputsLogged)
        for input in event.datasets
    ]
    if not inputs:
        return
    await connection.execute(
        _statements.create,
        [int(event.experiment_id) for event, _ in inputs],
        [input.dataset.name for _, input in inputs],
        [input.dataset.digest for _, input in inputs],
        [input.dataset.source_type for _, input in inputs],
        [input.dataset.source for _, input in inputs],
        [input.dataset.schema for _, input in inputs],
        [input.dataset.profile for _, input in inputs],
    )
    await connection.executemany(_statements.log_input, [_input_row(event, input) for event, input in inputs])


def _input_row(event: run_pb2.InputsLogged, input: dataset_pb2.DatasetInput) -> tuple[object, ...]:
    tags = dict(sorted((tag.key, tag.value) for tag in input.tags))
    return (
        event.run_id,
        input.dataset.name,
        input.dataset.digest,
        int(event.experiment_id),
        tags.get(CONTEXT_TAG),
        list(tags),
        list(tags.values()),
    )
