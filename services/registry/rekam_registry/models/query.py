"""Queries of registered models: one by name, or a search with filter, order and pages."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from rekam_proto.registry.v1 import model_pb2
from rekam_registry import finding, search, version_rows
from rekam_registry.models.fields import MODELS
from rekam_registry.reads import View
from rekam_registry.search import Searched
from rekam_runtime.postgres import Row, Statements
from rekam_runtime.searching.keyset import SortColumn

_statements = Statements.load("rekam_registry.models", "query.sql")

_NAME = SortColumn("s.name", "text")
_SEARCHED = Searched(
    schema=MODELS,
    rows="model_states s",
    owner=("model_id",),
    tags="model_tags",
    columns={
        "name": _NAME,
        "creation_timestamp": SortColumn("s.created_us", "bigint"),
        "last_updated_timestamp": SortColumn("s.updated_us", "bigint"),
    },
    default_order=[_NAME],
    tie_breaks={"name": False},
    default_page=100,
    most=1_000,
)


async def get_model(view: View, name: str) -> model_pb2.RegisteredModel:
    """Raises NotFound when no model has the name."""
    (model,) = await _fetch(view, [await finding.model_of(view, name)])
    return model


async def search_models(
    view: View, request: model_pb2.SearchRegisteredModelsRequest
) -> model_pb2.SearchRegisteredModelsResponse:
    rows, token = await search.page(view, _SEARCHED, request)
    models = await _fetch(view, [row[0] for row in rows])
    return model_pb2.SearchRegisteredModelsResponse(models=models, next_page_token=token)


async def _fetch(view: View, ids: Sequence[UUID]) -> list[model_pb2.RegisteredModel]:
    """Those that were there at the view's moment, in the order asked."""
    rows = await view.connection.fetch(_statements.details.format(at=view.at), ids)
    models = {row["model_id"].hex: _model(row) for row in rows}
    for version in await version_rows.latest(view, ids):
        one = models[version.model_id].latest_versions.add()
        one.CopyFrom(version)
        # As the model tells them: who wants more asks for the version.
        one.ClearField("tags")
        one.ClearField("aliases")
    return list(models.values())


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
