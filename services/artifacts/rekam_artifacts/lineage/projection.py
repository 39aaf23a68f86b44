"""Uses of files by runs: events to rows. The first of a run, path and digest stays."""

from __future__ import annotations

from collections.abc import Sequence

from rekam_proto.artifacts.v1.artifact_pb2 import FilesUsed
from rekam_runtime.postgres import Connection, Statements

_statements = Statements.load("rekam_artifacts.lineage", "projection.sql")


async def use(connection: Connection, used: Sequence[FilesUsed], times_us: Sequence[int]) -> None:
    rows = [
        (event.run_id, file.path, file.digest, time_us)
        for event, time_us in zip(used, times_us, strict=True)
        for file in event.files
    ]
    if rows:
        await connection.execute(_statements.use, *map(list, zip(*rows, strict=True)))
