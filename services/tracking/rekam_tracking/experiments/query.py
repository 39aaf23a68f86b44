"""Queries of experiments: one by id or name, or a search with filter, order and pages."""

from __future__ import annotations

from collections.abc import Sequence

from rekam_proto.tracking.v1 import experiment_pb2, read_pb2
from rekam_runtime.errors import Invalid
from rekam_runtime.filtering import (
    Comparison,
    Kind,
    Operator,
    Or,
    OrderTerm,
    parse_filter,
    parse_order_by,
    positive_form,
)
from rekam_runtime.postgres import Connection, Row, Statements
from rekam_runtime.searching.comparing import integer_condition, text_condition
from rekam_runtime.searching.keyset import (
    PageToken,
    SortColumn,
    after,
    decode_token,
    digest,
    page_size,
    row_key,
)
from rekam_runtime.searching.merging import Positive, merge_equalities
from rekam_runtime.searching.parameters import Parameters
from rekam_tracking.experiments.fields import EXPERIMENTS

_statements = Statements.load("rekam_tracking.experiments", "query.sql")

_COLUMNS = {
    "name": SortColumn("e.name", "text"),
    "creation_time": SortColumn("e.created_ms", "bigint"),
    "last_update_time": SortColumn("e.updated_ms", "bigint"),
    "experiment_id": SortColumn("e.experiment_id", "bigint"),
}
_LIFECYCLES: dict[int, list[int]] = {
    read_pb2.LIFECYCLE_VIEW_ACTIVE: [read_pb2.LIFECYCLE_ACTIVE],
    read_pb2.LIFECYCLE_VIEW_DELETED: [read_pb2.LIFECYCLE_DELETED],
    read_pb2.LIFECYCLE_VIEW_ALL: [read_pb2.LIFECYCLE_ACTIVE, read_pb2.LIFECYCLE_DELETED],
}


async def get_experiment(connection: Connection, experiment_id: str) -> experiment_pb2.Experiment | None:
    """The experiment, deleted or not. The id is decimal digits that fit 64 bits."""
    found = await _fetch(connection, [int(experiment_id)])
    return found[0] if found else None


async def get_experiment_by_name(connection: Connection, name: str) -> experiment_pb2.Experiment | None:
    """The experiment of exactly this name, deleted or not."""
    experiment_id = await connection.fetchval(_statements.by_name, name)
    return None if experiment_id is None else await get_experiment(connection, str(experiment_id))


async def search_experiments(
    connection: Connection, request: experiment_pb2.SearchExperimentsRequest
) -> experiment_pb2.SearchExperimentsResponse:
    """One page. The connection must not be in a transaction: the page is read from one snapshot."""
    size = page_size(request.page_size)
    columns = _sort_columns(parse_order_by(request.order_by, EXPERIMENTS))
    tree = parse_filter(request.filter, EXPERIMENTS)
    lifecycles = _LIFECYCLES.get(request.view)
    if lifecycles is None:
        raise Invalid(f"view {request.view} is not known", field="view")
    parameters = Parameters()
    conditions = [f"e.lifecycle = ANY({parameters.add('smallint[]', lifecycles)})"]
    if tree is not None:
        conditions.append(_condition(parameters, merge_equalities(positive_form(tree))))
    query = digest(lifecycles, request.filter, columns)
    if request.page_token:
        conditions.append(after(parameters, columns, decode_token(request.page_token, query, [columns]).keys))
    text = _statements.page.format(
        columns="e.experiment_id, "
        + ", ".join(f"{column.expression} AS k{i}" for i, column in enumerate(columns)),
        conditions=" AND ".join(conditions),
        order=", ".join(f"{column.expression} {column.direction}" for column in columns),
        limit=parameters.add("bigint", size + 1),
    )
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        found = await connection.fetch(text, *parameters.values)
        page = found[:size]
        response = experiment_pb2.SearchExperimentsResponse(
            experiments=await _fetch(connection, [row["experiment_id"] for row in page])
        )
    if len(found) > size:
        keys = tuple(row_key(key) for key in list(page[-1])[1:])
        response.next_page_token = PageToken(0, keys).encode(query)
    return response


def _sort_columns(order: Sequence[OrderTerm]) -> list[SortColumn]:
    columns = [
        SortColumn(
            _COLUMNS[term.reference.key].expression, _COLUMNS[term.reference.key].sql_type, term.descending
        )
        for term in order
    ]
    if not columns:
        return [SortColumn("e.created_ms", "bigint", descending=True), _COLUMNS["experiment_id"]]
    if all(term.reference.key != "experiment_id" for term in order):
        columns.append(SortColumn("e.experiment_id", "bigint", descending=True))
    return columns


def _condition(parameters: Parameters, tree: Positive) -> str:
    if not isinstance(tree, Comparison):
        word = " OR " if isinstance(tree, Or) else " AND "
        return "(" + word.join(_condition(parameters, term) for term in tree.terms) + ")"  # type: ignore[arg-type]
    if tree.reference.entity == "tag":
        key = parameters.add("text", tree.reference.key)
        if tree.operator is Operator.IS_NULL:
            return _statements.tag_missing.format(key=key)
        present = tree.operator is Operator.IS_NOT_NULL
        condition = "true" if present else text_condition(parameters, "v.value", tree)
        return _statements.tag_matches.format(key=key, condition=condition)
    column = _COLUMNS[tree.reference.key]
    if tree.reference.kind is Kind.TEXT:
        return text_condition(parameters, f'{column.expression}::text COLLATE "C"', tree)
    return integer_condition(parameters, column.expression, tree)


async def _fetch(connection: Connection, ids: Sequence[int]) -> list[experiment_pb2.Experiment]:
    """Those that exist, in the order asked."""
    return [_experiment(row) for row in await connection.fetch(_statements.details, ids)]


def _experiment(row: Row) -> experiment_pb2.Experiment:
    tags = zip(row["tag_keys"] or (), row["tag_values"] or (), strict=True)
    return experiment_pb2.Experiment(
        experiment_id=str(row["experiment_id"]),
        name=row["name"],
        artifact_location=row["artifact_location"],
        lifecycle=row["lifecycle"],
        created_ms=row["created_ms"],
        updated_ms=row["updated_ms"],
        tags=[read_pb2.Tag(key=key, value=value) for key, value in tags],
    )
