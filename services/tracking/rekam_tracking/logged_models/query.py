"""Queries of logged models: one by id, or a search with filter, order and pages."""

from __future__ import annotations

from collections.abc import Sequence

from rekam_proto.tracking.v1 import logged_model_pb2, read_pb2
from rekam_runtime.errors import Invalid
from rekam_runtime.filtering import parse_filter, positive_form
from rekam_runtime.postgres import Connection, Row
from rekam_runtime.searching.keyset import PageToken, after, decode_token, digest, page_size, row_key
from rekam_runtime.searching.merging import merge_equalities
from rekam_runtime.searching.parameters import Parameters
from rekam_tracking import rules
from rekam_tracking.logged_models.conditions import (
    datasets_condition,
    filter_condition,
    fragments,
    reads_metrics,
)
from rekam_tracking.logged_models.fields import LOGGED_MODELS
from rekam_tracking.logged_models.ordering import order_columns
from rekam_tracking.portions import LIGHT_BYTES, MAX_BYTES_OF_ONE, portions

_DEFAULT_PAGE_SIZE = 50
_MAX_DATASETS = 100
# A page ends early, with a token, before its message grows past what a client takes.
_MAX_PAGE_BYTES = 32 << 20


async def get_logged_model(connection: Connection, model_id: str) -> logged_model_pb2.LoggedModel | None:
    """The model, deleted or not, with all that it has."""
    models = await _fetch(connection, [model_id])
    return models[0] if models else None


async def search_logged_models(
    connection: Connection, request: logged_model_pb2.SearchLoggedModelsRequest
) -> logged_model_pb2.SearchLoggedModelsResponse:
    """One page. The connection must not be in a transaction: the page is read from one snapshot."""
    size = page_size(request.page_size, default=_DEFAULT_PAGE_SIZE)
    parameters = Parameters()
    experiments = rules.experiment_ids(request.experiment_ids)
    columns, joins = order_columns(parameters, request.order_by)
    conditions = [
        f"m.experiment_id = ANY({parameters.add('bigint[]', experiments)})",
        f"m.lifecycle = {parameters.add('smallint', read_pb2.LIFECYCLE_ACTIVE)}",
        *_filter_conditions(parameters, request),
    ]
    query = digest(
        sorted(experiments),
        request.filter,
        [dataset.SerializeToString(deterministic=True) for dataset in request.datasets],
        [order.SerializeToString(deterministic=True) for order in request.order_by],
    )
    if request.page_token:
        conditions.append(after(parameters, columns, decode_token(request.page_token, query, [columns]).keys))
    text = fragments.page.format(
        columns=", ".join(f"{column.expression} AS k{number}" for number, column in enumerate(columns)),
        joins=joins,
        conditions="\n  AND ".join(conditions),
        order=", ".join(f"k{number} {column.direction}" for number, column in enumerate(columns)),
        limit=parameters.add("bigint", size + 1),
    )
    response = logged_model_pb2.SearchLoggedModelsResponse()
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        found = await connection.fetch(text, *parameters.values)
        page = found[:size]
        ids = [row["model_id"] for row in page]
        for portion in portions(ids, await _heavy(connection, ids)):
            if response.ByteSize() >= _MAX_PAGE_BYTES:
                break
            response.models.extend(await _fetch(connection, portion))
    filled = len(response.models)
    if filled < len(found):
        # The model's id is the row's first column; its sort columns follow.
        keys = tuple(row_key(key) for key in list(found[filled - 1])[1:])
        response.next_page_token = PageToken(0, keys).encode(query)
    return response


def _filter_conditions(
    parameters: Parameters, request: logged_model_pb2.SearchLoggedModelsRequest
) -> list[str]:
    if len(request.datasets) > _MAX_DATASETS:
        raise Invalid(
            f"a search names at most {_MAX_DATASETS} datasets, this one {len(request.datasets)}",
            field="datasets",
        )
    for index, dataset in enumerate(request.datasets):
        rules.dataset_reference(dataset, f"datasets[{index}]")
    parsed = parse_filter(request.filter, LOGGED_MODELS)
    tree = None if parsed is None else merge_equalities(positive_form(parsed))
    on_datasets = datasets_condition(parameters, request.datasets)
    conditions = [] if tree is None else [filter_condition(parameters, tree, on_datasets)]
    if request.datasets and not reads_metrics(tree):
        conditions.append(fragments.has_metric.format(datasets=on_datasets))
    return conditions


async def _fetch(connection: Connection, ids: Sequence[str]) -> list[logged_model_pb2.LoggedModel]:
    """Those that exist, in the order asked."""
    return [_model(row) for row in await connection.fetch(fragments.details, ids, MAX_BYTES_OF_ONE)]


async def _heavy(connection: Connection, ids: Sequence[str]) -> dict[str, int]:
    """Bytes of the metrics' values of those that have many."""
    rows = await connection.fetch(fragments.heavy, ids, LIGHT_BYTES)
    return {row["model_id"]: row["bytes"] for row in rows}


def _model(row: Row) -> logged_model_pb2.LoggedModel:
    params = zip(row["param_keys"] or (), row["param_values"] or (), strict=True)
    tags = zip(row["tag_keys"] or (), row["tag_values"] or (), strict=True)
    return logged_model_pb2.LoggedModel(
        model_id=row["model_id"],
        experiment_id=str(row["experiment_id"]),
        name=row["name"],
        created_ms=row["created_ms"],
        updated_ms=row["updated_ms"],
        artifact_uri=row["artifact_uri"],
        status=row["status"],
        model_type=row["model_type"] or "",
        source_run_id=row["source_run_id"] or "",
        lifecycle=row["lifecycle"],
        params=[read_pb2.Param(key=key, value=value) for key, value in params],
        tags=[read_pb2.Tag(key=key, value=value) for key, value in tags],
        metrics=[_metric(*metric) for metric in row["metrics"] or ()],
    )


def _metric(
    key: str, value: float, step: int, time_us: int, dataset_name: str, dataset_digest: str, run_id: str
) -> logged_model_pb2.LoggedModelMetric:
    return logged_model_pb2.LoggedModelMetric(
        key=key,
        value=value,
        step=step,
        time_us=time_us,
        dataset_name=dataset_name,
        dataset_digest=dataset_digest,
        run_id=run_id,
    )
