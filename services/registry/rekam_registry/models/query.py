"""Queries of registered models: one by name, or a search with filter, order and pages."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from rekam_proto.registry.v1 import model_pb2
from rekam_registry import finding, model_rows, search, version_rows
from rekam_registry.models.fields import MODELS
from rekam_registry.reads import View
from rekam_registry.search import Searched
from rekam_runtime.searching.keyset import SortColumn

_NAME = SortColumn("s.name", "text")
_SEARCHED = Searched(
    schema=MODELS,
    table="model_states",
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
    page = await search.page(view, _SEARCHED, request)
    response = model_pb2.SearchRegisteredModelsResponse()
    for keys in page.portions():
        response.models.extend(await _fetch(view, [id for (id,) in keys]))
        if response.ByteSize() >= search.MOST_BYTES:
            break
    response.next_page_token = page.token_after(len(response.models))
    return response


async def _fetch(view: View, ids: Sequence[UUID]) -> list[model_pb2.RegisteredModel]:
    """Those that were there at the view's moment, in the order asked, with the latest versions of each."""
    models = {model.model_id: model for model in await model_rows.fetch(view, ids)}
    for version in await version_rows.latest(view, ids):
        one = models[version.model_id].latest_versions.add()
        one.CopyFrom(version)
        # The model tells its aliases itself.
        one.ClearField("aliases")
    return list(models.values())
