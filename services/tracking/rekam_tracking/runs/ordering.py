"""The order of a search for runs: sort columns, cut into phases that an index can walk.

Values come first, then NaN, then missing, in both directions. One ORDER BY over all three
would sort every run of the experiment for each page. A search that is ordered by a metric,
param or tag first is therefore asked in two phases: the runs that have a value, along the
index on values, and, when these do not fill the page, the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rekam_runtime.filtering import OrderTerm, Reference
from rekam_runtime.searching.comparing import HEAD_CHARS, MAX_BIGINT, MIN_BIGINT
from rekam_runtime.searching.keyset import SortColumn, number_columns, text_columns
from rekam_tracking.runs.conditions import (
    START,
    STATUS_NAMES,
    TEXT_COLUMNS,
    TIME_COLUMNS,
    Latest,
    value_source,
)

# Status sorts by its name; a run without one is last in both directions.
_STATUS = f"(ARRAY[{', '.join(repr(STATUS_NAMES[number]) for number in sorted(STATUS_NAMES))}])[r.status]"
_AFTER_NAMES = "~"


@dataclass(frozen=True, slots=True)
class Phase:
    """Runs of one class of the first term, in the order of the columns."""

    columns: tuple[SortColumn, ...]
    # Values that the columns and the condition read, beside those of runs r: alias and term.
    joined: tuple[tuple[str, Reference], ...]
    # The first of `joined` must be there.
    required: bool = False
    condition: str = ""

    @property
    def by_start(self) -> bool:
        """Whether this is the order of index runs_by_start."""
        return self.columns[0] == SortColumn(START, "bigint", descending=True)

    def joins(self, latest: Latest) -> str:
        parts: list[str] = []
        for number, (alias, reference) in enumerate(self.joined):
            source, found = value_source(reference, latest, alias)
            join = "JOIN" if self.required and number == 0 else "LEFT JOIN"
            parts.append(f"{join} {source} ON {found}")
        return " ".join(parts)


def phases(terms: Sequence[OrderTerm]) -> list[Phase]:
    """One phase, or two when the first term may be missing: with it, without it."""
    tail: list[SortColumn] = []
    joined: list[tuple[str, Reference]] = []
    for number, term in enumerate(terms):
        alias = f"o{number}"
        if term.reference.entity == "attribute":
            tail.append(_attribute(term))
            continue
        joined.append((alias, term.reference))
        if number:
            tail += _any_value(alias, term)
    named = {term.reference.key for term in terms if term.reference.entity == "attribute"}
    if "start_time" not in named:
        tail.append(SortColumn(START, "bigint", descending=True))
    if "run_id" not in named:
        tail.append(SortColumn("r.run_id", "uuid"))
    if not terms or terms[0].reference.entity == "attribute":
        return [Phase(tuple(tail), tuple(joined))]
    first, down = terms[0].reference, terms[0].descending
    if first.entity == "metric":
        present = Phase(
            (SortColumn("o0.value", "float8", down), *tail), tuple(joined), True, "o0.value < 'NaN'"
        )
        nan_first = SortColumn("(CASE WHEN o0.value IS NULL THEN 1 ELSE 0 END)::bigint", "bigint")
        rest = Phase((nan_first, *tail), tuple(joined), False, "(o0.value IS NULL OR o0.value = 'NaN')")
    else:
        # The head is what the index is sorted by; the whole value orders equal heads.
        head = SortColumn(f"left(o0.value, {HEAD_CHARS})", "text", down)
        present = Phase((head, SortColumn("o0.value", "text", down), *tail), tuple(joined), True)
        rest = Phase(tuple(tail), tuple(joined), False, "o0.value IS NULL")
    return [present, rest]


def _attribute(term: OrderTerm) -> SortColumn:
    key, down = term.reference.key, term.descending
    if key == "run_id":
        return SortColumn("r.run_id", "uuid", down)
    if column := TIME_COLUMNS.get(key):
        return SortColumn(f"coalesce({column}, {MIN_BIGINT if down else MAX_BIGINT})", "bigint", down)
    if key == "status":
        return SortColumn(
            f"coalesce({_STATUS}, '{'' if down else _AFTER_NAMES}') COLLATE \"C\"", "text", down
        )
    return SortColumn(TEXT_COLUMNS[key], "text", down)


def _any_value(alias: str, term: OrderTerm) -> list[SortColumn]:
    """Columns of a later term: its class, then its value."""
    columns = number_columns if term.reference.entity == "metric" else text_columns
    return columns(f"{alias}.value", term.descending)
