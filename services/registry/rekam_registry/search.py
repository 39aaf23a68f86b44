"""Searches of models and versions: filter, order and pages, at a moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

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
    Schema,
    parse_filter,
    parse_order_by,
    positive_form,
)
from rekam_runtime.postgres import Row, Statements
from rekam_runtime.searching.comparing import HEAD_CHARS, integer_condition, text_condition
from rekam_runtime.searching.keyset import PageToken, SortColumn, after, decode_token, digest, row_key
from rekam_runtime.searching.merging import Positive, merge_equalities
from rekam_runtime.searching.parameters import Parameters

_statements = Statements.load("rekam_registry", "search.sql")

# A search begins with those that have a tag when they are fewer than this; else it walks its order's index
# and looks each one's tag up: then it has not far to go to the end of a page.
_FEW = 5_000
# Beyond this many joins the planner's time grows faster than their number.
_MOST_JOINS = 3


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

    rows: where they come from; joined: the same with what only `joined_columns` need.
    columns: expressions that are never NULL, by the name of the field.
    """

    schema: Schema
    rows: str
    owner: tuple[str, ...]
    tags: str
    columns: Mapping[str, SortColumn]
    default_order: Sequence[SortColumn]
    tie_breaks: Mapping[str, bool]
    default_page: int
    most: int
    joined: str = ""
    joined_columns: frozenset[str] = frozenset()


async def page(view: View, searched: Searched, request: Request) -> tuple[list[Row], str]:
    """One page of keys, and the token of the next one; empty on the last."""
    size = _page_size(searched, request.page_size)
    order = _order(searched, parse_order_by(request.order_by, searched.schema))
    tree = parse_filter(request.filter, searched.schema)
    conditions = _Conditions(searched, view)
    terms = [format(view.at, "s"), *await conditions.of(tree)]
    # The moment is a number of the request, the filter and the order are texts of it.
    query = digest(searched.tags, request.filter, order, format(view.at, "s"))
    if request.page_token:
        keys = decode_token(request.page_token, query, [order]).keys
        terms.append(after(conditions.parameters, order, keys))
    columns = [*(f"s.{part}" for part in searched.owner), *(column.expression for column in order)]
    text = _statements.page.format(
        columns=", ".join(f"{column} AS c{number}" for number, column in enumerate(columns)),
        rows=searched.joined if conditions.joined else searched.rows,
        conditions=" AND ".join(terms),
        order=", ".join(f"{column.expression} {column.direction}" for column in order),
        limit=conditions.parameters.add("bigint", size + 1),
    )
    found = await view.connection.fetch(text, *conditions.parameters.values)
    if len(found) <= size:
        return found, ""
    last = list(found[size - 1])[len(searched.owner) :]
    return found[:size], PageToken(0, tuple(row_key(key) for key in last)).encode(query)


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
    """A filter as conditions that must all hold."""

    def __init__(self, searched: Searched, view: View) -> None:
        self.parameters = Parameters()
        self.joined = False
        self._searched = searched
        self._connection = view.connection
        self._at = view.at
        self._joins = 0
        self._speaks_of_prompts = False

    async def of(self, tree: Comparison | And | Or | object | None) -> list[str]:
        found: list[str] = []
        if tree is not None:
            merged = merge_equalities(positive_form(tree))  # type: ignore[arg-type]
            terms = merged.terms if isinstance(merged, And) else (merged,)
            found += [await self._must(term) for term in terms]  # type: ignore[arg-type]
        if not self._speaks_of_prompts:
            found.append(self._prompt() + " <> 'true'")
        return found

    async def _must(self, term: Positive) -> str:
        """A condition without which nothing is found."""
        if isinstance(term, Comparison) and self._joins < _MOST_JOINS and await self._have_few(term):
            self._joins += 1
            return _statements.tag_is.format(
                owner=", ".join(f"s.{part}" for part in self._searched.owner),
                owner_of_tag=", ".join(f"t.{part}" for part in self._searched.owner),
                tags=self._searched.tags,
                key=self.parameters.add("text", term.reference.key),
                condition=text_condition(self.parameters, "t.value", term, head=True),
                at=self._at,
            )
        return self._condition(term)

    async def _have_few(self, term: Comparison) -> bool:
        """Whether it is on a tag that few have, of what is true now."""
        reference = term.reference
        if reference.entity != "tag" or reference.key == PROMPT_TAG or self._at != NOW:
            return False
        if term.operator not in (Operator.EQ, Operator.IN):
            return False
        values = term.value if isinstance(term.value, tuple) else (str(term.value),)
        counted: int = await self._connection.fetchval(
            _statements.few_tags.format(tags=self._searched.tags, at=self._at),
            reference.key,
            [value[:HEAD_CHARS] for value in values],
            _FEW,
        )
        return counted < _FEW

    def _condition(self, tree: Positive) -> str:
        if not isinstance(tree, Comparison):
            word = " OR " if isinstance(tree, Or) else " AND "
            return "(" + word.join(self._condition(term) for term in tree.terms) + ")"  # type: ignore[arg-type]
        if tree.reference.entity == "tag":
            return self._of_tag(tree)
        key = tree.reference.key
        self.joined = self.joined or key in self._searched.joined_columns
        column = self._searched.columns[key]
        if tree.reference.kind is Kind.NUMBER:
            return integer_condition(self.parameters, column.expression, tree)
        return text_condition(self.parameters, column.expression, tree)

    def _of_tag(self, tree: Comparison) -> str:
        if tree.reference.key == PROMPT_TAG:
            self._speaks_of_prompts = True
            if tree.operator not in (Operator.IS_NULL, Operator.IS_NOT_NULL):
                return text_condition(self.parameters, self._prompt(), tree)
        key = self.parameters.add("text", tree.reference.key)
        if tree.operator is Operator.IS_NULL:
            return self._fragment(_statements.tag_missing, key)
        present = tree.operator is Operator.IS_NOT_NULL
        condition = "true" if present else text_condition(self.parameters, "t.value", tree)
        return self._fragment(_statements.tag_matches, key, condition)

    def _prompt(self) -> str:
        return self._fragment(_statements.tag_or_false, self.parameters.add("text", PROMPT_TAG))

    def _fragment(self, fragment: str, key: str, condition: str = "") -> str:
        same = " AND ".join(f"t.{part} = s.{part}" for part in self._searched.owner)
        return fragment.format(
            tags=self._searched.tags, same_owner=same, key=key, condition=condition, at=self._at
        )
