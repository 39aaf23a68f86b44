"""order_by clauses to typed terms: `key [ASC | DESC]`, ascending by default."""

from __future__ import annotations

from collections.abc import Sequence

from rekam_runtime.errors import Invalid
from rekam_runtime.filtering.lexer import Source, Token, lex
from rekam_runtime.filtering.references import read_reference
from rekam_runtime.filtering.schema import Schema
from rekam_runtime.filtering.tree import OrderTerm

MAX_TERMS = 32


def parse_order_by(clauses: Sequence[str], schema: Schema, *, field: str = "order_by") -> list[OrderTerm]:
    """One term per clause. Raises Invalid(field[i]) that points at the wrong character."""
    if len(clauses) > MAX_TERMS:
        raise Invalid(f"{field} has at most {MAX_TERMS} clauses, got {len(clauses)}", field=field)
    terms: list[OrderTerm] = []
    for number, clause in enumerate(clauses):
        source = Source(clause, f"{field}[{number}]")
        term = _parse_clause(source, schema)
        if any(term.reference == earlier.reference for earlier in terms):
            raise source.fault(
                f"`{field}` contains duplicate fields: {term.reference}", term.reference.position
            )
        terms.append(term)
    return terms


def _parse_clause(source: Source, schema: Schema) -> OrderTerm:
    lexemes = lex(source)
    unreadable = f"Invalid order_by clause '{source.text[:200]}'. Could not be parsed."
    if lexemes[0].token not in (Token.WORD, Token.DOUBLE, Token.BACKTICK):
        raise source.fault(f"{unreadable} A key such as metrics.loss is expected", lexemes[0].position)
    found = read_reference(source, lexemes, 0, schema, sorting=True)
    direction = lexemes[found.next]
    if direction.token is Token.END:
        return OrderTerm(found.reference, descending=False)
    following = lexemes[found.next + 1]
    if direction.keyword not in ("ASC", "DESC"):
        if following.token is Token.END:
            unreadable = f"Invalid ordering key in order_by clause '{source.text[:200]}'."
        raise source.fault(f"{unreadable} ASC or DESC is expected", direction.position)
    if following.token is not Token.END:
        raise source.fault(f"{unreadable} Nothing may follow {direction.keyword}", following.position)
    return OrderTerm(found.reference, descending=direction.keyword == "DESC")
