"""The projection of the service's stream: every noun's part of it, in the log's order."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from rekam_artifacts import objects
from rekam_artifacts.events import Placed, decode
from rekam_artifacts.files import projection as files
from rekam_artifacts.lineage import projection as lineage
from rekam_artifacts.uploads import projection as uploads
from rekam_proto.artifacts.v1 import artifact_pb2
from rekam_runtime.eventlog.port import Record
from rekam_runtime.postgres import Connection
from rekam_runtime.projection.part import Part, Write


def prepare(records: Sequence[Record]) -> Write:
    """Read a batch; raises Quarantine when it has a record that cannot be read."""
    placed = [decode(record) for record in records]

    async def write(connection: Connection) -> int:
        for kind, run in groupby(placed, key=lambda one: type(one.event)):
            await _write(connection, kind, list(run))
        return 0

    return write


async def _write(connection: Connection, kind: type, run: Sequence[Placed]) -> None:
    """Events of one kind that follow each other."""
    events = [one.event for one in run]
    times_us = [one.time_us for one in run]
    if kind is artifact_pb2.FilesPut:
        puts = [event for event in events if isinstance(event, artifact_pb2.FilesPut)]
        await uploads.complete(
            connection, await files.put(connection, puts, [one.position for one in run], times_us)
        )
    elif kind is artifact_pb2.UploadStarted:
        started = [event for event in events if isinstance(event, artifact_pb2.UploadStarted)]
        await uploads.start(connection, started, times_us)
    elif kind is artifact_pb2.FilesUsed:
        used = [event for event in events if isinstance(event, artifact_pb2.FilesUsed)]
        await lineage.use(connection, used, times_us)
    for event, time_us in zip(events, times_us, strict=True):
        match event:
            case artifact_pb2.FilesDeleted():
                await files.delete(connection, event, time_us)
            case artifact_pb2.UploadAborted():
                await uploads.end(connection, [event.upload_id])
            case artifact_pb2.GarbageCollected():
                await objects.take_unreferenced(connection, event.digests)
                await uploads.end(connection, event.upload_ids)
                await objects.take_strays(connection, event.object_keys)
            case artifact_pb2.ObjectsRemoved():
                await objects.note_removed(connection, event.object_keys)


PART = Part(prepare)
