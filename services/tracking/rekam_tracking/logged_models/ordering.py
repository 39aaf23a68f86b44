"""The order of a search for logged models. Missing values are last, in both directions."""

from __future__ import annotations

from collections.abc import Sequence

from rekam_proto.tracking.v1 import logged_model_pb2
from rekam_runtime.errors import Invalid
from rekam_runtime.filtering import Kind, Reference, read_key
from rekam_runtime.searching.keyset import SortColumn, number_columns, text_columns
from rekam_runtime.searching.parameters import Parameters
from rekam_tracking import rules
from rekam_tracking.logged_models.columns import TEXTS, TIMES
from rekam_tracking.logged_models.conditions import datasets_condition, fragments
from rekam_tracking.logged_models.fields import LOGGED_MODELS

MAX_TERMS = 32

Orders = Sequence[logged_model_pb2.LoggedModelOrder]


def order_columns(parameters: Parameters, orders: Orders) -> tuple[list[SortColumn], str]:
    """Sort columns, and the joins that they read from beside `logged_models m`."""
    if len(orders) > MAX_TERMS:
        raise Invalid(f"order_by has at most {MAX_TERMS} entries, got {len(orders)}", field="order_by")
    columns: list[SortColumn] = []
    joins: list[str] = []
    attributes: set[str] = set()
    for number, order in enumerate(orders):
        reference = read_key(order.field, LOGGED_MODELS, field=f"order_by[{number}].field")
        if reference.entity == "metric":
            alias = f"o{number}"
            if order.HasField("dataset"):
                rules.dataset_reference(order.dataset, f"order_by[{number}].dataset")
            joins.append(_join(parameters, alias, reference, order))
            columns += number_columns(f"{alias}.value", order.descending)
        elif reference.key not in attributes:
            attributes.add(reference.key)
            columns += _attribute(reference, order.descending)
    if "creation_timestamp" not in attributes:
        columns.append(SortColumn(TIMES["creation_timestamp"], "bigint", descending=True))
    if "model_id" not in attributes:
        columns.append(SortColumn(TEXTS["model_id"], "text"))
    return columns, " ".join(joins)


def _join(
    parameters: Parameters, alias: str, metric: Reference, order: logged_model_pb2.LoggedModelOrder
) -> str:
    return fragments.ordering_value.format(
        alias=alias,
        key=parameters.add("text", metric.key),
        datasets=datasets_condition(parameters, [order.dataset] if order.HasField("dataset") else []),
    )


def _attribute(reference: Reference, descending: bool) -> list[SortColumn]:
    if reference.kind is Kind.NUMBER:
        return [SortColumn(TIMES[reference.key], "bigint", descending)]
    return text_columns(TEXTS[reference.key], descending)
