"""Uploads: events to rows."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from rekam_artifacts import objects
from rekam_proto.artifacts.v1.artifact_pb2 import FilesPut, UploadStarted
from rekam_runtime.postgres import Connection, Statements

_statements = Statements.load("rekam_artifacts.uploads", "projection.sql")


async def start(connection: Connection, started: Sequence[UploadStarted], times_us: Sequence[int]) -> None:
    await connection.executemany(
        _statements.start,
        [
            (
                UUID(event.upload_id),
                event.path,
                event.object_key,
                event.multipart_id,
                event.size if event.HasField("size") else None,
                event.digest or None,
                event.media_type,
                time_us,
            )
            for event, time_us in zip(started, times_us, strict=True)
        ],
    )


async def complete(connection: Connection, puts: Sequence[FilesPut]) -> None:
    """Note those of the puts that complete an upload."""
    done = [put for put in puts if put.upload_id]
    if done:
        await connection.execute(
            _statements.complete,
            [UUID(put.upload_id) for put in done],
            [put.files[0].digest for put in done],
            [put.files[0].size for put in done],
        )


async def end(connection: Connection, upload_ids: Sequence[str]) -> None:
    """Forget uploads, and take away the objects of those that were not completed."""
    if not upload_ids:
        return
    ended = await connection.fetch(_statements.end, [UUID(id) for id in upload_ids])
    given_up = [row for row in ended if not row["completed"]]
    await objects.take(
        connection,
        [row["object_key"] for row in given_up],
        [row["multipart_id"] for row in given_up],
    )
