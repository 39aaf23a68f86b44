"""Logged models, their params, tags and metrics: events to rows, many at a time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from google.protobuf.message import Message

from rekam_proto.tracking.v1 import logged_model_pb2, read_pb2
from rekam_runtime.postgres import Connection, Statements

_statements = Statements.load("rekam_tracking.logged_models", "projection.sql")


@dataclass(slots=True)
class _Change:
    """What events say about one model's row, the last word on each column; None: nothing."""

    updated_ms: int
    status: int | None = None
    lifecycle: int | None = None


@dataclass(slots=True)
class _Changes:
    """What events add up to, by table."""

    created: dict[str, logged_model_pb2.LoggedModelCreated] = field(default_factory=dict)
    changed: dict[str, _Change] = field(default_factory=dict)
    params: dict[tuple[str, str], str] = field(default_factory=dict)
    # None: deleted.
    tags: dict[tuple[str, str], str | None] = field(default_factory=dict)
    metrics: list[tuple[str, logged_model_pb2.LoggedModelMetric]] = field(default_factory=list)

    def of(self, model_id: str, updated_ms: int) -> _Change:
        change = self.changed.setdefault(model_id, _Change(updated_ms))
        change.updated_ms = updated_ms
        return change


async def apply(connection: Connection, events: Iterable[Message]) -> None:
    """Write events in their order; those of other nouns are passed over."""
    changes = _Changes()
    for event in events:
        match event:
            case logged_model_pb2.LoggedModelCreated():
                changes.created.setdefault(event.model_id, event)
                _note_params(changes, event.model_id, event.params)
                changes.tags.update(((event.model_id, tag.key), tag.value) for tag in event.tags)
            case logged_model_pb2.LoggedModelFinalized():
                changes.of(event.model_id, event.updated_ms).status = event.status
            case logged_model_pb2.LoggedModelDeleted():
                changes.of(event.model_id, event.updated_ms).lifecycle = read_pb2.LIFECYCLE_DELETED
            case logged_model_pb2.LoggedModelParamsLogged():
                _note_params(changes, event.model_id, event.params)
            case logged_model_pb2.LoggedModelTagsSet():
                changes.tags.update(((event.model_id, tag.key), tag.value) for tag in event.tags)
            case logged_model_pb2.LoggedModelTagsDeleted():
                changes.tags.update(((event.model_id, key), None) for key in event.keys)
            case logged_model_pb2.LoggedModelMetricsLogged():
                changes.metrics += ((event.model_id, metric) for metric in event.metrics)
            case _:
                pass
    await _write(connection, changes)


def _note_params(changes: _Changes, model_id: str, params: Iterable[read_pb2.Param]) -> None:
    for param in params:
        changes.params.setdefault((model_id, param.key), param.value)


async def _write(connection: Connection, changes: _Changes) -> None:
    if created := changes.created.values():
        await connection.execute(
            _statements.create,
            [event.model_id for event in created],
            [int(event.experiment_id) for event in created],
            [event.name for event in created],
            [event.created_ms for event in created],
            [event.artifact_uri for event in created],
            [event.model_type for event in created],
            [event.source_run_id for event in created],
            int(logged_model_pb2.LOGGED_MODEL_STATUS_PENDING),
        )
    if changed := changes.changed:
        await connection.execute(
            _statements.update,
            list(changed),
            [change.updated_ms for change in changed.values()],
            [change.status for change in changed.values()],
            [change.lifecycle for change in changed.values()],
        )
    if params := changes.params:
        await connection.execute(
            _statements.log_params,
            [model_id for model_id, _ in params],
            [key for _, key in params],
            list(params.values()),
        )
    await _write_tags(connection, changes.tags)
    if metrics := changes.metrics:
        await connection.execute(
            _statements.log_metrics,
            [model_id for model_id, _ in metrics],
            [metric.key for _, metric in metrics],
            [metric.value for _, metric in metrics],
            [metric.step for _, metric in metrics],
            [metric.time_us for _, metric in metrics],
            [metric.dataset_name for _, metric in metrics],
            [metric.dataset_digest for _, metric in metrics],
            [metric.run_id for _, metric in metrics],
        )


async def _write_tags(connection: Connection, tags: dict[tuple[str, str], str | None]) -> None:
    deleted = [place for place, value in tags.items() if value is None]
    if deleted:
        await connection.execute(
            _statements.delete_tags, [model_id for model_id, _ in deleted], [key for _, key in deleted]
        )
    present = [(model_id, key, value) for (model_id, key), value in tags.items() if value is not None]
    if present:
        await connection.execute(_statements.set_tags, *map(list, zip(*present, strict=True)))
