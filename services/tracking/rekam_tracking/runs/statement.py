"""One page of a search for runs as one SQL statement.

Runs of several experiments are found by one walk each where the order is that of the
index (by start), else by one walk for all. Runs that are being written keep their latest
values in another form, so a search that reads metrics has a branch for those and one for
the rest, each planned on its own; the branches' pages are merged.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rekam_runtime.filtering import Comparison, OrderTerm, Reference
from rekam_runtime.searching.keyset import Key, after
from rekam_runtime.searching.merging import Positive
from rekam_runtime.searching.parameters import Argument, Parameters
from rekam_tracking.runs.conditions import Conditions, Latest, fragments
from rekam_tracking.runs.ordering import Phase

# More walks than this cost more than sorting what one finds.
_MAX_WALKS = 16


@dataclass(frozen=True, slots=True)
class Scope:
    """Where a search looks, for what, and in which order."""

    experiment_ids: Sequence[int]
    lifecycles: Sequence[int]
    filter: Positive | None
    order: Sequence[OrderTerm]

    def metric_keys(self) -> list[str]:
        """Every metric that the search reads."""
        references = [*_references(self.filter), *(term.reference for term in self.order)]
        return sorted({reference.key for reference in references if reference.entity == "metric"})

    def places(self, phase: Phase) -> list[tuple[list[int], list[int]]]:
        """Experiments and lifecycles of each walk."""
        walks = [
            ([experiment], [lifecycle]) for experiment in self.experiment_ids for lifecycle in self.lifecycles
        ]
        if phase.by_start and len(walks) <= _MAX_WALKS:
            return walks
        return [(list(self.experiment_ids), list(self.lifecycles))]


def page_statement(
    scope: Scope, phase: Phase, keys: Sequence[Key] | None, limit: int, key_ids: Mapping[str, int], live: bool
) -> tuple[str, list[Argument]]:
    """The statement of at most `limit` rows of a phase, behind `keys`, and its arguments.

    A row is the run's id and then the phase's columns.
    """
    parameters = Parameters()
    settled = Latest(key_ids, parameters)
    written = Latest(key_ids, parameters, live=True)
    place = parameters.add("bigint", limit)
    behind = [after(parameters, phase.columns, keys)] if keys is not None else []
    columns = ", ".join(f"{column.expression} AS k{number}" for number, column in enumerate(phase.columns))
    order = ", ".join(f"k{number} {column.direction}" for number, column in enumerate(phase.columns))
    sources = [(settled, ""), (written, fragments.is_live)] if live else [(settled, "")]
    if live:
        sources[0] = (settled, fragments.is_settled)
    branches: list[str] = []
    for experiments, lifecycles in scope.places(phase):
        for latest, source_condition in sources:
            conditions = [
                _equals(parameters, "r.experiment_id", "bigint", experiments),
                _equals(parameters, "r.lifecycle", "smallint", lifecycles),
                *([source_condition] if source_condition else []),
                *([phase.condition] if phase.condition else []),
                *behind,
            ]
            joins = phase.joins(latest)
            if scope.filter is not None:
                conditions.append(Conditions(parameters, latest).compile(scope.filter))
            branches.append(
                fragments.branch.format(
                    columns=f"r.run_id, {columns}",
                    joins=joins,
                    conditions="\n  AND ".join(conditions),
                    order=order,
                    limit=place,
                )
            )
    with_latest = f"WITH {', '.join(written.tables.values())}" if written.tables else ""
    text = fragments.page.format(
        latest=with_latest, branches="\nUNION ALL\n".join(branches), order=order, limit=place
    )
    return text, parameters.values


def _equals(parameters: Parameters, column: str, sql_type: str, values: Sequence[int]) -> str:
    # One value, not a list of one: only then does the index on it also give the order behind it.
    if len(values) == 1:
        return f"{column} = {parameters.add(sql_type, values[0])}"
    return f"{column} = ANY({parameters.add(f'{sql_type}[]', values)})"


def _references(tree: Positive | None) -> Iterator[Reference]:
    if isinstance(tree, Comparison):
        yield tree.reference
    elif tree is not None:
        for term in tree.terms:
            yield from _references(term)  # type: ignore[arg-type]
