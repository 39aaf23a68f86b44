"""A filter over runs to SQL conditions on `runs r`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rekam_proto.tracking.v1 import run_pb2
from rekam_runtime.filtering import And, Comparison, Not, Operator, Reference
from rekam_runtime.postgres import Statements
from rekam_runtime.searching.comparing import (
    MAX_BIGINT,
    MIN_BIGINT,
    float_condition,
    integer_condition,
    text_condition,
)
from rekam_runtime.searching.merging import Positive
from rekam_runtime.searching.parameters import Parameters

fragments = Statements.load("rekam_tracking.runs", "search.sql")

# Conditions on params, tags, metrics and datasets that become joins; the others are looked up run
# by run, so that planning a long filter does not grow with every combination.
_MAX_JOINS = 6

STATUS_NAMES = {
    number: name.removeprefix("RUN_STATUS_") for name, number in run_pb2.RunStatus.items() if number != 0
}
TEXT_COLUMNS = {"run_name": "r.name", "user_id": "r.user_name", "artifact_uri": "r.artifact_uri"}
TIME_COLUMNS = {"start_time": "r.start_ms", "end_time": "r.end_ms"}
# As index runs_by_start has it: a missing start is before all times.
START = f"coalesce(r.start_ms, {MIN_BIGINT})"
_RUN_ID = re.compile(r"[0-9a-f]{32}")


@dataclass
class Latest:
    """Where a search reads latest values: settled runs in metric_latest, others merged from live rows."""

    key_ids: Mapping[str, int]
    parameters: Parameters
    live: bool = False
    # Common table expressions by name, one for every metric that is used.
    tables: dict[str, str] = field(default_factory=dict)

    def source(self, key: str, alias: str) -> tuple[str, str]:
        """Table and condition that hold the value of a metric."""
        # No metric has the id -1: a key that was never logged is missing everywhere.
        place = self.parameters.add("int", self.key_ids.get(key, -1))
        if not self.live:
            return f"metric_latest {alias}", fragments.settled_metric.format(v=alias, key=place)
        name = f"live_{place[1:].partition(':')[0]}"
        self.tables[name] = fragments.live_latest.format(name=name, key=place)
        return f"{name} {alias}", fragments.live_metric.format(v=alias)


def value_source(reference: Reference, latest: Latest, alias: str) -> tuple[str, str]:
    """Table and condition that find a metric, param or tag of run r."""
    if reference.entity == "metric":
        return latest.source(reference.key, alias)
    table = "params" if reference.entity == "param" else "tags"
    key = latest.parameters.add("text", reference.key)
    return f"{table} {alias}", fragments.keyed_value.format(v=alias, key=key)


class Conditions:
    """Compiles one positive filter (rekam_runtime.filtering.positive_form)."""

    def __init__(self, parameters: Parameters, latest: Latest) -> None:
        self._parameters = parameters
        self._latest = latest
        self._joins = 0

    def compile(self, tree: Positive) -> str:
        if isinstance(tree, Comparison):
            match tree.reference.entity:
                case "attribute":
                    return self._attribute(tree)
                case "dataset":
                    return self._dataset(tree)
                case _:
                    return self._values([tree], "")
        word = " AND " if isinstance(tree, And) else " OR "
        parts: list[str] = []
        # Conditions on one key are asked of its one value together: a range, not two joins.
        values: dict[Reference, list[Comparison]] = {}
        for term in tree.terms:
            assert not isinstance(term, Not)
            if isinstance(term, Comparison) and _reads_a_value(term):
                values.setdefault(term.reference, []).append(term)
            else:
                parts.append(self.compile(term))
        # Attributes first: they are at hand, values have to be looked up.
        parts += [self._values(comparisons, word) for comparisons in values.values()]
        return f"({word.join(parts)})"

    def _values(self, comparisons: Sequence[Comparison], word: str) -> str:
        """Conditions on one metric, param or tag."""
        first = comparisons[0]
        if first.reference.entity == "metric" and first.reference.key not in self._latest.key_ids:
            return "false"
        source, found = value_source(first.reference, self._latest, "v")
        if first.operator is Operator.IS_NULL:
            return fragments.missing.format(source=source, found=found)
        condition = word.join(f"({self._value(comparison)})" for comparison in comparisons)
        self._joins += 1
        form = fragments.matches if self._joins <= _MAX_JOINS else fragments.probe
        return form.format(source=source, found=found, condition=f"({condition})")

    def _dataset(self, comparison: Comparison) -> str:
        """Met by any dataset that the run read."""
        self._joins += 1
        form = fragments.matches if self._joins <= _MAX_JOINS else fragments.probe_any
        condition = text_condition(self._parameters, f"v.{comparison.reference.key}", comparison)
        return form.format(source="dataset_inputs v", found=fragments.input, condition=f"({condition})")

    def _value(self, comparison: Comparison) -> str:
        if comparison.operator is Operator.IS_NOT_NULL:
            return "true"
        if comparison.reference.entity == "metric":
            return float_condition(self._parameters, "v.value", comparison)
        return text_condition(self._parameters, "v.value", comparison, head=True)

    def _attribute(self, comparison: Comparison) -> str:
        key = comparison.reference.key
        if key == "start_time" and _from_a_start(comparison):
            return integer_condition(self._parameters, START, comparison)
        if column := TIME_COLUMNS.get(key):
            return integer_condition(self._parameters, column, comparison)
        if column := TEXT_COLUMNS.get(key):
            return text_condition(self._parameters, column, comparison)
        return self._status(comparison) if key == "status" else self._run_id(comparison)

    def _status(self, comparison: Comparison) -> str:
        numbers = [number for number, name in STATUS_NAMES.items() if _text_matches(name, comparison)]
        return f"r.status = ANY({self._parameters.add('smallint[]', numbers)})"

    def _run_id(self, comparison: Comparison) -> str:
        operator, value = comparison.operator, comparison.value
        if operator not in (Operator.EQ, Operator.NE, Operator.IN, Operator.NOT_IN):
            return text_condition(self._parameters, "replace(r.run_id::text, '-', '')", comparison)
        assert isinstance(value, str | tuple)
        values = (value,) if isinstance(value, str) else value
        # What is not a run id equals none.
        ids = self._parameters.add("uuid[]", [item for item in values if _RUN_ID.fullmatch(item)])
        return (
            f"r.run_id = ANY({ids})" if operator in (Operator.EQ, Operator.IN) else f"r.run_id <> ALL({ids})"
        )


def _from_a_start(comparison: Comparison) -> bool:
    """Whether the index on starts answers: what a missing start, as the least of all, never matches."""
    value = comparison.value
    assert isinstance(value, int | float)
    return comparison.operator in (Operator.EQ, Operator.GT) and MIN_BIGINT < value <= MAX_BIGINT


def _reads_a_value(comparison: Comparison) -> bool:
    return (
        comparison.reference.entity not in ("attribute", "dataset")
        and comparison.operator is not Operator.IS_NULL
    )


def _text_matches(text: str, comparison: Comparison) -> bool:
    """What text_condition says in SQL, for a text known here."""
    operator, value = comparison.operator, comparison.value
    assert isinstance(value, str | tuple)
    if operator in (Operator.EQ, Operator.NE, Operator.IN, Operator.NOT_IN):
        values = (value,) if isinstance(value, str) else value
        return (text in values) == (operator in (Operator.EQ, Operator.IN))
    assert isinstance(value, str)
    flags = re.DOTALL | (
        re.IGNORECASE | re.ASCII if operator in (Operator.ILIKE, Operator.NOT_ILIKE) else re.ASCII
    )
    pattern = "".join({"%": ".*", "_": "."}.get(character, re.escape(character)) for character in value)
    return bool(re.fullmatch(pattern, text, flags)) == (operator in (Operator.LIKE, Operator.ILIKE))
