"""A filter over logged models to SQL conditions on `logged_models m`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rekam_proto.tracking.v1 import logged_model_pb2
from rekam_runtime.filtering import Comparison, Operator, Or
from rekam_runtime.postgres import Statements
from rekam_runtime.searching.comparing import float_condition, integer_condition, text_condition
from rekam_runtime.searching.merging import Positive
from rekam_runtime.searching.parameters import Parameters
from rekam_tracking.logged_models.columns import TEXTS, TIMES

fragments = Statements.load("rekam_tracking.logged_models", "search.sql")

Datasets = Sequence[logged_model_pb2.DatasetReference]


def filter_condition(parameters: Parameters, tree: Positive, on_datasets: str) -> str:
    """on_datasets: from `datasets_condition`; only such values of a metric count."""
    if not isinstance(tree, Comparison):
        word = " OR " if isinstance(tree, Or) else " AND "
        parts = (filter_condition(parameters, term, on_datasets) for term in tree.terms)  # type: ignore[arg-type]
        return f"({word.join(parts)})"
    key = tree.reference.key
    match tree.reference.entity:
        case "metric":
            return fragments.metric_matches.format(
                key=parameters.add("text", key),
                condition=float_condition(parameters, "v.value", tree),
                datasets=on_datasets,
            )
        case "attribute" if column := TIMES.get(key):
            return integer_condition(parameters, column, tree)
        case "attribute":
            return text_condition(parameters, TEXTS[key], tree)
        case entity:
            table, place = f"logged_model_{entity}s", parameters.add("text", key)
            if tree.operator is Operator.IS_NULL:
                return fragments.missing.format(table=table, key=place)
            present = tree.operator is Operator.IS_NOT_NULL
            condition = "true" if present else text_condition(parameters, "v.value", tree)
            return fragments.matches.format(table=table, key=place, condition=condition)


def datasets_condition(parameters: Parameters, datasets: Datasets) -> str:
    """Whether a value v of a metric was measured on one of the datasets; on any when there are none."""
    return " OR ".join(_of(parameters, datasets)) or "true"


def _of(parameters: Parameters, datasets: Iterable[logged_model_pb2.DatasetReference]) -> Iterator[str]:
    for dataset in datasets:
        named = f"v.dataset_name = {parameters.add('text', dataset.name)}"
        digest = f" AND v.dataset_digest = {parameters.add('text', dataset.digest)}" if dataset.digest else ""
        yield f"{named}{digest}"


def reads_metrics(tree: Positive | None) -> bool:
    if tree is None or isinstance(tree, Comparison):
        return tree is not None and tree.reference.entity == "metric"
    return any(reads_metrics(term) for term in tree.terms)  # type: ignore[arg-type]
