"""Searches of models and versions: filter, order and pages, at a moment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from rekam_proto.registry.v1.read_pb2 import AsOf
from rekam_registry.moment import NOW
from rekam_registry.reads import View
from rekam_registry.rules import PROMPT_TAG
from rekam_runtime.errors import Invalid
from rekam_runtime.filtering import (
    And,
    Comparison,
    Kind,
    Operator,
    Or,
    OrderTerm,
    Reference,
    Schema,
    parse_filter,
    parse_order_by,
    positive_form,
)
from rekam_runtime.postgres import Row, Statements
from rekam_runtime.searching.comparing import integer_condition, text_condition
from rekam_runtime.searching.keyset import PageToken, SortColumn, after, decode_token, digest, row_key
from rekam_runtime.searching.merging import Positive, merge_equalities
from rekam_runtime.searching.parameters import Parameters

_statements = Statements.load("rekam_registry", "search.sql")

# Fewer that meet a condition are looked up one by one. For more, the planner's statistics are good enough.
_FEW = 2_000
# What a page tells is read so many at a time, until it has these bytes: it must fit into a message.
_AT_A_TIME = 100
MOST_BYTES = 16 * 1024 * 1024
# Conditions that are counted, and of tags those that the planner may begin with: beyond this many its time
# grows faster than their number.
_MOST_COUNTED = 4


class Request(Protocol):
    """A request for a page of a search."""

    filter: str
    page_size: int
    page_token: str

    @property
    def order_by(self) -> Sequence[str]: ...

    @property
    def as_of(self) -> AsOf: ...


@dataclass(frozen=True)
class Searched:
    """What is searched: the alias of its rows is s, whose key is `owner`.

    table: of the rows; join: adds what only `joined_columns` need.
    columns: expressions that are never NULL, by the name of the field.
    by_name: fragment that finds keys by a condition on m.name, where the rows' own index does not.
    headed: fields that are indexed by their first characters.
    numbers: of texts that are kept as numbers, by the name of the field.
    """

    schema: Schema
    table: str
    owner: tuple[str, ...]
    tags: str
    columns: Mapping[str, SortColumn]
    default_order: Sequence[SortColumn]
    tie_breaks: Mapping[str, bool]
    default_page: int
    most: int
    join: str = ""
    joined_columns: frozenset[str] = frozenset()
    by_name: str = ""
    headed: frozenset[str] = frozenset()
    numbers: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    def owner_of(self, table: str) -> str:
        return ", ".join(f"{table}.{part}" for part in self.owner)

    def same_owner(self, table: str) -> str:
        return " AND ".join(f"{table}.{part} = s.{part}" for part in self.owner)


@dataclass(frozen=True)
class Page:
    """Found rows: of each its key, then what it is sorted by.

    more: whether others follow them. query: the search that found them.
    """

    rows: list[Row]
    owner: int
    query: bytes
    more: bool

    def portions(self) -> Iterator[list[tuple[Any, ...]]]:
        """Keys, as many at a time as are read at one time."""
        keys = [tuple(row)[: self.owner] for row in self.rows]
        for start in range(0, len(keys), _AT_A_TIME):
            yield keys[start : start + _AT_A_TIME]

    def token_after(self, told: int) -> str:
        """Of the page that begins behind so many of the rows; empty when nothing does."""
        if told == len(self.rows) and not self.more:
            return ""
        last = list(self.rows[told - 1])[self.owner :]
        return PageToken(0, tuple(row_key(key) for key in last)).encode(self.query)


async def page(view: View, searched: Searched, request: Request) -> Page:
    """The keys of one page."""
    size = _page_size(searched, request.page_size)
    order = _order(searched, parse_order_by(request.order_by, searched.schema))
    tree = parse_filter(request.filter, searched.schema)
    # The moment is a number of the request, the filter and the order are texts of it.
    query = digest(searched.tags, request.filter, order, format(view.at, "s"))
    conditions = _Conditions(searched, view)
    terms = await conditions.of(tree)
    if request.page_token:
        keys = decode_token(request.page_token, query, [order]).keys
        terms.append(after(conditions.parameters, order, keys))
    columns = [*(f"s.{part}" for part in searched.owner), *(column.expression for column in order)]
    text = (_statements.page_of_few if conditions.few else _statements.page).format(
        columns=", ".join(f"{column} AS c{number}" for number, column in enumerate(columns)),
        few=conditions.few,
        table=searched.table,
        joined=searched.join if conditions.joined else "",
        same_owner=searched.same_owner("few"),
        at=view.at,
        conditions=" AND ".join(terms),
        order=", ".join(f"{column.expression} {column.direction}" for column in order),
        limit=conditions.parameters.add("bigint", size + 1),
    )
    found = await view.connection.fetch(text, *conditions.parameters.values)
    await view.connection.execute(_statements.found)
    return Page(found[:size], len(searched.owner), query, more=len(found) > size)


def _page_size(searched: Searched, requested: int) -> int:
    if not 0 <= requested <= searched.most:
        raise Invalid(
            f"page_size is 1 to {searched.most:,}, or 0 for {searched.default_page:,}; got {requested}",
            field="page_size",
        )
    return requested or searched.default_page


def _order(searched: Searched, terms: Sequence[OrderTerm]) -> list[SortColumn]:
    if not terms:
        return list(searched.default_order)
    named: dict[str, SortColumn] = {}
    for term in terms:
        column = searched.columns[term.reference.key]
        named.setdefault(column.expression, _directed(column, term.descending))
    for key, descending in searched.tie_breaks.items():
        column = searched.columns[key]
        named.setdefault(column.expression, _directed(column, descending))
    return list(named.values())


def _directed(column: SortColumn, descending: bool) -> SortColumn:
    return SortColumn(column.expression, column.sql_type, descending)


class _Conditions:
    """A filter as conditions that must all hold, and what the search is to begin with.

    few: finds the keys of those that meet the rarest condition; empty when none is rare.
    """

    def __init__(self, searched: Searched, view: View) -> None:
        self.parameters = Parameters()
        self.joined = False
        self.few = ""
        self._searched = searched
        self._connection = view.connection
        self._at = view.at
        self._few_prompts = False
        self._joins = 0

    async def of(self, tree: Comparison | And | Or | object | None) -> list[str]:
        terms: list[Positive] = []
        if tree is not None:
            merged = merge_equalities(positive_form(tree))  # type: ignore[arg-type]
            terms += merged.terms if isinstance(merged, And) else (merged,)  # type: ignore[arg-type]
        rarest = await self._count(terms)
        if rarest is not None:
            self.few = self._found(rarest, self.parameters)
        found = [self._must(term) for term in terms if term is not rarest]
        if not any(map(_speaks_of_prompts, terms)):
            found.append(self._no_prompts())
        if self._at.time_us is not None:
            # Implied, but a range that an index walk can start at.
            found.append(f"s.updated_us <= {self._at.time_us}")
        return found or ["true"]

    async def _count(self, terms: Sequence[Positive]) -> Comparison | None:
        """The condition that fewest meet, of those that an index finds, if they are few."""
        parameters = Parameters()
        counted: list[Comparison] = []
        counts = ""
        for term in (_PROMPTS, *terms):
            if isinstance(term, Comparison) and len(counted) < _MOST_COUNTED:
                found = self._found(term, parameters)
                if found:
                    counted.append(term)
                    counts += ", " + _statements.counted.format(few=found, limit=_FEW)
        settings = _statements.settings.format(counts=counts)
        row = await self._connection.fetchrow(settings, *parameters.values)
        assert row is not None
        of_terms = zip(counted, list(row)[len(row) - len(counted) :], strict=True)
        few = {term: count for term, count in of_terms if count < _FEW}
        self._few_prompts = few.pop(_PROMPTS, None) is not None
        return min(few, key=few.__getitem__, default=None)

    def _must(self, term: Positive) -> str:
        """A condition without which nothing is found: the search may begin with it."""
        if isinstance(term, Comparison) and term.reference.entity == "tag" and self._joins < _MOST_COUNTED:
            found = self._found(term, self.parameters)
            if found:
                self._joins += 1
                return _statements.one_of.format(owner=self._searched.owner_of("s"), found=found)
        return self._condition(term)

    def _found(self, term: Comparison, parameters: Parameters) -> str:
        """A query for the keys of those that meet a condition; empty when no index finds them."""
        reference, searched = term.reference, self._searched
        if term.operator not in _FINDING:
            return ""
        if reference.entity == "tag":
            if self._at != NOW or (reference.key == PROMPT_TAG and not _is_of_tagged(term)):
                return ""
            return _statements.tagged.format(
                owner_of_tag=searched.owner_of("t"),
                tags=searched.tags,
                key=parameters.add("text", reference.key),
                condition=text_condition(parameters, "t.value", term, head=True),
                at=self._at,
            )
        exact = term.operator in (Operator.EQ, Operator.IN)
        if reference.key == "name" and searched.by_name and not (exact and self._at == NOW):
            return searched.by_name.format(condition=text_condition(parameters, "m.name", term), at=self._at)
        return ""

    def _condition(self, tree: Positive) -> str:
        if not isinstance(tree, Comparison):
            word = " OR " if isinstance(tree, Or) else " AND "
            return "(" + word.join(self._condition(term) for term in tree.terms) + ")"  # type: ignore[arg-type]
        if tree.reference.entity == "tag":
            return self._of_tag(tree)
        key = tree.reference.key
        self.joined = self.joined or key in self._searched.joined_columns
        column = self._searched.columns[key].expression
        if key in self._searched.numbers:
            return self._of_number(column, self._searched.numbers[key], tree)
        if tree.reference.kind is Kind.NUMBER:
            return integer_condition(self.parameters, column, tree)
        return text_condition(self.parameters, column, tree, head=key in self._searched.headed)

    def _of_number(self, column: str, numbers: Mapping[str, int], tree: Comparison) -> str:
        values = tree.value if isinstance(tree.value, tuple) else (str(tree.value),)
        known = [numbers[value] for value in values if value in numbers]
        others = tree.operator in (Operator.NE, Operator.NOT_IN)
        if len(known) == 1:
            # An index is sorted below one number.
            return f"{column} {'<>' if others else '='} {self.parameters.add('smallint', known[0])}"
        return f"{'NOT ' if others else ''}{column} = ANY({self.parameters.add('smallint[]', known)})"

    def _of_tag(self, tree: Comparison) -> str:
        if tree.reference.key == PROMPT_TAG:
            if tree.operator is Operator.NE and tree.value == "true":
                return self._no_prompts()
            if tree.operator not in (Operator.IS_NULL, Operator.IS_NOT_NULL):
                return text_condition(self.parameters, self._prompt(), tree)
        key = self.parameters.add("text", tree.reference.key)
        if tree.operator is Operator.IS_NULL:
            return self._fragment(_statements.tag_missing, key)
        present = tree.operator is Operator.IS_NOT_NULL
        condition = "true" if present else text_condition(self.parameters, "t.value", tree)
        return self._fragment(_statements.tag_matches, key, condition)

    def _no_prompts(self) -> str:
        if self._few_prompts:
            return _statements.not_one_of.format(
                owner=self._searched.owner_of("s"), found=self._found(_PROMPTS, self.parameters)
            )
        return self._prompt() + " <> 'true'"

    def _prompt(self) -> str:
        return self._fragment(_statements.tag_or_false, self.parameters.add("text", PROMPT_TAG))

    def _fragment(self, fragment: str, key: str, condition: str = "") -> str:
        return fragment.format(
            tags=self._searched.tags,
            same_owner=self._searched.same_owner("t"),
            key=key,
            condition=condition,
            at=self._at,
        )


_FINDING = frozenset({Operator.EQ, Operator.IN, Operator.LIKE, Operator.ILIKE})
_PROMPTS = Comparison(Reference("tag", PROMPT_TAG, Kind.TEXT), Operator.EQ, "true")


def _speaks_of_prompts(tree: Positive) -> bool:
    if isinstance(tree, Comparison):
        return tree.reference.entity == "tag" and tree.reference.key == PROMPT_TAG
    return any(map(_speaks_of_prompts, tree.terms))  # type: ignore[arg-type]


def _is_of_tagged(term: Comparison) -> bool:
    """Whether only what has the tag of prompts can meet it: without the tag, it counts as 'false'."""
    values = term.value if isinstance(term.value, tuple) else (term.value,)
    return term.operator in (Operator.EQ, Operator.IN) and "false" not in values
