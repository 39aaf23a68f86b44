"""Queries of datasets."""

from __future__ import annotations

from collections.abc import Sequence

from rekam_proto.tracking.v1 import dataset_pb2
from rekam_runtime.postgres import Connection, Statements

_statements = Statements.load("rekam_tracking.datasets", "query.sql")

MAX_SUMMARIES = 1_000


async def search_datasets(
    connection: Connection, experiment_ids: Sequence[str]
) -> dataset_pb2.SearchDatasetsResponse:
    """What runs of the experiments read. The ids are decimal digits that fit 64 bits."""
    rows = await connection.fetch(_statements.summaries, [int(id) for id in experiment_ids], MAX_SUMMARIES)
    return dataset_pb2.SearchDatasetsResponse(
        datasets=[
            dataset_pb2.DatasetSummary(
                experiment_id=str(row["experiment_id"]),
                name=row["name"],
                digest=row["digest"],
                context=row["context"],
            )
            for row in rows
        ]
    )
