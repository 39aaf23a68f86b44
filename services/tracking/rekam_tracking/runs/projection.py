"""Runs, params, tags, models as inputs and outputs: events to rows, many at a time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID

from google.protobuf.message import Message

from rekam_proto.tracking.v1 import experiment_pb2, read_pb2, run_pb2
from rekam_runtime.postgres import Connection, Statements
from rekam_tracking.rules import RUN_NAME_TAG

_statements = Statements.load("rekam_tracking.runs", "projection.sql")


@dataclass(slots=True)
class _Change:
    """What events say about one run's row, the last word on each column; None: nothing."""

    name: str | None = None
    status: int | None = None
    end_ms: int | None = None
    lifecycle: int | None = None


@dataclass(slots=True)
class _Changes:
    """What events add up to, by table."""

    created: dict[UUID, run_pb2.RunCreated] = field(default_factory=dict)
    changed: dict[UUID, _Change] = field(default_factory=dict)
    params: dict[tuple[UUID, str], str] = field(default_factory=dict)
    # None: deleted.
    tags: dict[tuple[UUID, str], str | None] = field(default_factory=dict)
    model_inputs: set[tuple[UUID, str]] = field(default_factory=set)
    model_outputs: dict[tuple[UUID, str], int] = field(default_factory=dict)

    def of(self, run_id: str) -> _Change:
        return self.changed.setdefault(UUID(run_id), _Change())


async def apply(connection: Connection, events: Iterable[Message]) -> None:
    """Write events in their order, also what an experiment's deletion and restoration do to its runs.

    Events of one run are put together before they are written; only an event that touches
    all runs of an experiment must find the rows before it in the table.
    """
    changes = _Changes()
    for event in events:
        match event:
            case run_pb2.RunCreated():
                run_id = UUID(event.run_id)
                changes.created.setdefault(run_id, event)
                _note_params(changes, run_id, event.params)
                changes.tags.update(((run_id, tag.key), tag.value) for tag in event.tags)
            case run_pb2.RunUpdated():
                _note_update(changes, event)
            case run_pb2.RunDeleted():
                changes.of(event.run_id).lifecycle = read_pb2.LIFECYCLE_DELETED
            case run_pb2.RunRestored():
                changes.of(event.run_id).lifecycle = read_pb2.LIFECYCLE_ACTIVE
            case run_pb2.ParamsLogged():
                _note_params(changes, UUID(event.run_id), event.params)
            case run_pb2.TagsSet():
                run_id = UUID(event.run_id)
                for tag in event.tags:
                    changes.tags[run_id, tag.key] = tag.value
                    if tag.key == RUN_NAME_TAG:
                        changes.of(event.run_id).name = tag.value
            case run_pb2.TagsDeleted():
                run_id = UUID(event.run_id)
                changes.tags.update(((run_id, key), None) for key in event.keys)
            case run_pb2.InputsLogged():
                run_id = UUID(event.run_id)
                changes.model_inputs.update((run_id, model.model_id) for model in event.models)
            case run_pb2.OutputsLogged():
                run_id = UUID(event.run_id)
                for model in event.models:
                    changes.model_outputs.setdefault((run_id, model.model_id), model.step)
            case experiment_pb2.ExperimentDeleted():
                await _write(connection, changes)
                changes = _Changes()
                await _set_lifecycle(connection, event.experiment_id, read_pb2.LIFECYCLE_DELETED)
            case experiment_pb2.ExperimentRestored():
                await _write(connection, changes)
                changes = _Changes()
                await _set_lifecycle(connection, event.experiment_id, read_pb2.LIFECYCLE_ACTIVE)
            case _:
                pass
    await _write(connection, changes)


def _note_params(changes: _Changes, run_id: UUID, params: Iterable[read_pb2.Param]) -> None:
    for param in params:
        changes.params.setdefault((run_id, param.key), param.value)


def _note_update(changes: _Changes, event: run_pb2.RunUpdated) -> None:
    change = changes.of(event.run_id)
    if event.HasField("status"):
        change.status = event.status
    if event.HasField("end_ms"):
        change.end_ms = event.end_ms
    if event.HasField("name"):
        change.name = event.name
        changes.tags[UUID(event.run_id), RUN_NAME_TAG] = event.name


async def _set_lifecycle(connection: Connection, experiment_id: str, lifecycle: read_pb2.Lifecycle) -> None:
    await connection.execute(_statements.set_lifecycle_of_experiment, int(experiment_id), int(lifecycle))


async def _write(connection: Connection, changes: _Changes) -> None:
    if created := changes.created:
        await connection.execute(
            _statements.create,
            list(created),
            [int(event.experiment_id) for event in created.values()],
            [event.name for event in created.values()],
            [event.user for event in created.values()],
            [event.start_ms for event in created.values()],
            [event.artifact_uri for event in created.values()],
            int(run_pb2.RUN_STATUS_RUNNING),
        )
    if changed := changes.changed:
        await connection.execute(
            _statements.update,
            list(changed),
            [change.name for change in changed.values()],
            [change.status for change in changed.values()],
            [change.end_ms for change in changed.values()],
            [change.lifecycle for change in changed.values()],
        )
    if changes.params:
        await connection.execute(
            _statements.log_params,
            [run_id for run_id, _ in changes.params],
            [key for _, key in changes.params],
            list(changes.params.values()),
        )
    await _write_tags(connection, changes.tags)
    if changes.model_inputs:
        await connection.execute(
            _statements.log_model_inputs, *map(list, zip(*changes.model_inputs, strict=True))
        )
    if outputs := changes.model_outputs:
        await connection.execute(
            _statements.log_model_outputs,
            [run_id for run_id, _ in outputs],
            [model_id for _, model_id in outputs],
            list(outputs.values()),
        )


async def _write_tags(connection: Connection, tags: dict[tuple[UUID, str], str | None]) -> None:
    deleted = [place for place, value in tags.items() if value is None]
    if deleted:
        await connection.execute(
            _statements.delete_tags, [run_id for run_id, _ in deleted], [key for _, key in deleted]
        )
    present = [(run_id, key, value) for (run_id, key), value in tags.items() if value is not None]
    if present:
        await connection.execute(_statements.set_tags, *map(list, zip(*present, strict=True)))
