"""Registered models as rows say them, for every noun that answers with some."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from rekam_proto.registry.v1 import model_pb2
from rekam_registry import version_rows
from rekam_registry.reads import View
from rekam_runtime.postgres import Row, Statements

_statements = Statements.load("rekam_registry", "model_rows.sql")


async def fetch(view: View, ids: Sequence[UUID]) -> list[model_pb2.RegisteredModel]:
    """Those that were there at the view's moment, in the order asked, without their versions."""
    if not ids:
        return []
    rows = await view.connection.fetch(_statements.details.format(at=view.at), ids)
    return [_model(row) for row in rows]


def _model(row: Row) -> model_pb2.RegisteredModel:
    model = model_pb2.RegisteredModel(
        model_id=row["model_id"].hex,
        name=row["name"],
        description=row["description"],
        created_us=row["created_us"],
        updated_us=row["updated_us"],
        tags=version_rows.tags(row["tag_keys"], row["tag_values"]),
        aliases=[
            model_pb2.Alias(alias=alias, version=version)
            for alias, version in zip(row["aliases"] or (), row["versions"] or (), strict=True)
        ],
    )
    if row["protection"]:
        model.protection.ParseFromString(row["protection"])
    return model
