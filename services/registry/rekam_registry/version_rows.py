"""Versions as rows say them, for every noun that answers with some."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from rekam_proto.registry.v1 import version_pb2
from rekam_proto.tracking.v1.read_pb2 import Tag
from rekam_registry import rules
from rekam_registry.reads import View
from rekam_runtime.postgres import Row, Statements

_statements = Statements.load("rekam_registry", "version_rows.sql")


async def fetch(
    view: View, keys: Sequence[tuple[UUID, int]], *, signature: bool = False
) -> list[version_pb2.ModelVersion]:
    """Those that were there at the view's moment, in the order asked."""
    if not keys:
        return []
    text = _statements.details.format(at=view.at, signature="v.signature" if signature else "''")
    ids, numbers = [id for id, _ in keys], [number for _, number in keys]
    return [_version(row) for row in await view.connection.fetch(text, ids, numbers)]


async def latest(
    view: View, model_ids: Sequence[UUID], stages: Sequence[int] = rules.STAGES
) -> list[version_pb2.ModelVersion]:
    """Of each model the highest version of each stage, by model and stage."""
    text = _statements.latest.format(at=view.at)
    rows = await view.connection.fetch(text, model_ids, sorted(set(stages)))
    return await fetch(view, [(row["model_id"], row["version"]) for row in rows])


def tags(keys: Sequence[str] | None, values: Sequence[str] | None) -> list[Tag]:
    return [Tag(key=key, value=value) for key, value in zip(keys or (), values or (), strict=True)]


def _version(row: Row) -> version_pb2.ModelVersion:
    version = version_pb2.ModelVersion(
        model_id=row["model_id"].hex,
        name=row["name"],
        version=row["version"],
        stage=row["stage"],
        description=row["description"],
        source=row["source"],
        location=row["location"],
        run_id=row["run_id"],
        run_link=row["run_link"],
        logged_model_id=row["logged_model_id"],
        digest=row["digest"],
        signature=row["signature"],
        user=row["user_name"],
        created_us=row["created_us"],
        updated_us=row["updated_us"],
        tags=tags(row["tag_keys"], row["tag_values"]),
        aliases=row["aliases"] or (),
    )
    if row["copied_from"]:
        version.copied_from.ParseFromString(row["copied_from"])
    return version
