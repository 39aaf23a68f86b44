"""Experiments: events to rows, many at a time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from google.protobuf.message import Message

from rekam_proto.tracking.v1 import experiment_pb2, read_pb2
from rekam_runtime.postgres import Connection, Statements

_statements = Statements.load("rekam_tracking.experiments", "projection.sql")


async def apply(connection: Connection, events: Iterable[Message]) -> None:
    """Write events in their order; those of other nouns are passed over.

    Names are unique in the table as they are in the log at every event, so creations are
    written together only as long as no rename stands between them.
    """
    creations: list[experiment_pb2.ExperimentCreated] = []
    tags: dict[tuple[int, str], str | None] = {}
    for event in events:
        match event:
            case experiment_pb2.ExperimentCreated():
                creations.append(event)
                _note_tags(tags, event.experiment_id, event.tags)
            case experiment_pb2.ExperimentRenamed():
                await _create(connection, creations)
                creations = []
                await connection.execute(
                    _statements.rename, int(event.experiment_id), event.name, event.updated_ms
                )
            case experiment_pb2.ExperimentDeleted():
                await _create(connection, creations)
                creations = []
                await _set_lifecycle(connection, event, read_pb2.LIFECYCLE_DELETED)
            case experiment_pb2.ExperimentRestored():
                await _create(connection, creations)
                creations = []
                await _set_lifecycle(connection, event, read_pb2.LIFECYCLE_ACTIVE)
            case experiment_pb2.ExperimentTagsSet():
                _note_tags(tags, event.experiment_id, event.tags)
            case experiment_pb2.ExperimentTagsDeleted():
                tags.update(((int(event.experiment_id), key), None) for key in event.keys)
            case _:
                pass
    await _create(connection, creations)
    await _write_tags(connection, tags)


def _note_tags(
    tags: dict[tuple[int, str], str | None], experiment_id: str, given: Iterable[read_pb2.Tag]
) -> None:
    tags.update(((int(experiment_id), tag.key), tag.value) for tag in given)


async def _create(connection: Connection, events: Sequence[experiment_pb2.ExperimentCreated]) -> None:
    if events:
        await connection.execute(
            _statements.create,
            [int(event.experiment_id) for event in events],
            [event.name for event in events],
            [event.artifact_location for event in events],
            [event.created_ms for event in events],
        )


async def _set_lifecycle(
    connection: Connection,
    event: experiment_pb2.ExperimentDeleted | experiment_pb2.ExperimentRestored,
    lifecycle: read_pb2.Lifecycle,
) -> None:
    await connection.execute(
        _statements.set_lifecycle, int(event.experiment_id), int(lifecycle), event.updated_ms
    )


async def _write_tags(connection: Connection, tags: dict[tuple[int, str], str | None]) -> None:
    """The last word on each key; None deletes."""
    deleted = [place for place, value in tags.items() if value is None]
    if deleted:
        await connection.execute(
            _statements.delete_tags, [id for id, _ in deleted], [key for _, key in deleted]
        )
    present = [(id, key, value) for (id, key), value in tags.items() if value is not None]
    if present:
        await connection.execute(_statements.set_tags, *map(list, zip(*present, strict=True)))
