"""What a watcher is told from the database: what is there, and changes that it was not told live."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import UUID

from rekam_proto.registry.v1 import history_pb2, model_pb2, version_pb2, watch_pb2
from rekam_registry import model_rows, version_rows
from rekam_registry.moment import Moment
from rekam_registry.reads import Reads
from rekam_registry.watching.filter import Filter
from rekam_runtime.postgres import Statements

_statements = Statements.load("rekam_registry.watching", "query.sql")
_PAGE = 200


async def snapshot(
    reads: Reads, filter: Filter, position: int
) -> AsyncIterator[model_pb2.RegisteredModel | version_pb2.ModelVersion]:
    """Models, each followed by its versions, as of a position.

    Page by page, each with a connection of its own: a slow watcher holds none, and what was true at the
    position stays so.
    """
    at = Moment(position=position)
    after = ""
    while True:
        async with reads.view_at(at) as view:
            text = _statements.models.format(at=at)
            rows = await view.connection.fetch(text, *_arguments(filter), after, _PAGE)
            models = await model_rows.fetch(view, [row["model_id"] for row in rows])
        for model in models:
            yield model
            async for version in _versions(reads, at, UUID(model.model_id)):
                yield version
        if len(rows) < _PAGE:
            return
        after = rows[-1]["name"]


async def changes(
    reads: Reads, filter: Filter, after: int, until: int
) -> AsyncIterator[tuple[int, watch_pb2.WatchResponse]]:
    """Those after one position up to another, in order."""
    while True:
        async with reads.connection(until) as connection:
            rows = await connection.fetch(_statements.changes, *_arguments(filter), after, until, _PAGE)
        for row in rows:
            change = history_pb2.Change.FromString(row["change"])
            yield row["position"], watch_pb2.WatchResponse(position=row["position"], change=change)
        if len(rows) < _PAGE:
            return
        after = rows[-1]["position"]


async def _versions(reads: Reads, at: Moment, model_id: UUID) -> AsyncIterator[version_pb2.ModelVersion]:
    after = 0
    while True:
        async with reads.view_at(at) as view:
            text = _statements.versions.format(at=at)
            rows = await view.connection.fetch(text, model_id, after, _PAGE)
            versions = await version_rows.fetch(view, [(model_id, row["version"]) for row in rows])
        for version in versions:
            yield version
        if len(rows) < _PAGE:
            return
        after = rows[-1]["version"]


def _arguments(filter: Filter) -> tuple[bool, list[str], str]:
    return filter.everything, sorted(filter.names), filter.prefix
