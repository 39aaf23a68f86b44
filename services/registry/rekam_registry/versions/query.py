"""Queries of versions: one, the latest of each stage, or a search with filter, order and pages."""

from __future__ import annotations

from collections.abc import Sequence

from rekam_proto.registry.v1 import version_pb2
from rekam_registry import finding, rules, search, version_rows
from rekam_registry.reads import View
from rekam_registry.search import Searched
from rekam_registry.uris import ModelUri
from rekam_registry.versions.fields import VERSIONS
from rekam_runtime.postgres import Statements
from rekam_runtime.searching.keyset import SortColumn

_search = Statements.load("rekam_registry", "search.sql")
_SEARCHED = Searched(
    schema=VERSIONS,
    table="version_states",
    owner=("model_id", "version"),
    tags="version_tags",
    columns={
        "name": SortColumn("s.name", "text"),
        "version_number": SortColumn("s.version", "bigint"),
        "creation_timestamp": SortColumn("s.created_us", "bigint"),
        "last_updated_timestamp": SortColumn("s.updated_us", "bigint"),
        "current_stage": SortColumn("s.stage", "smallint"),
        "run_id": SortColumn("v.run_id", "text"),
        "source_path": SortColumn("v.source", "text"),
    },
    default_order=[
        SortColumn("s.updated_us", "bigint", descending=True),
        SortColumn("s.name", "text"),
        SortColumn("s.version", "bigint", descending=True),
    ],
    tie_breaks={"name": False, "version_number": True},
    default_page=1_000,
    most=10_000,
    join="JOIN versions v ON v.model_id = s.model_id AND v.version = s.version",
    joined_columns=frozenset({"run_id", "source_path"}),
    headed=frozenset({"source_path"}),
    by_name=_search.versions_by_name,
    numbers={"current_stage": {name: stage for stage, name in rules.STAGE_NAMES.items()}},
)


async def get_version(view: View, name: str, number: int) -> version_pb2.ModelVersion:
    """Raises NotFound when there is no such model or version."""
    found = await finding.find(view, ModelUri(name, version=number))
    (version,) = await version_rows.fetch(view, [(found.model_id, found.version)], signature=True)
    return version


async def latest_versions(view: View, name: str, stages: Sequence[int]) -> list[version_pb2.ModelVersion]:
    """Raises NotFound when there is no such model."""
    return await version_rows.latest(view, [await finding.model_of(view, name)], stages or rules.STAGES)


async def search_versions(
    view: View, request: version_pb2.SearchModelVersionsRequest
) -> version_pb2.SearchModelVersionsResponse:
    page = await search.page(view, _SEARCHED, request)
    response = version_pb2.SearchModelVersionsResponse()
    for keys in page.portions():
        response.versions.extend(await version_rows.fetch(view, [(id, number) for id, number in keys]))
        if response.ByteSize() >= search.MOST_BYTES:
            break
    response.next_page_token = page.token_after(len(response.versions))
    return response
