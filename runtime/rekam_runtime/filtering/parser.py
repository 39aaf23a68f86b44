"""Filter text to tree.

By hand, not with a parser generator: the grammar is five rules, and what users need of
it (MLflow's own error texts, a position in each) is the larger part, which a generator's
"unexpected token" would have to be unpicked to give.

    any      = all (OR all)*
    all      = one (AND one)* [AND]          a trailing AND at the very end is forgiven
    one      = NOT one | "(" any ")" | condition
    condition= reference comparator value | reference [NOT] (LIKE | ILIKE) text
             | reference [NOT] IN "(" text ("," text)* ")" | reference IS [NOT] NULL
"""

from __future__ import annotations

from rekam_runtime.errors import Invalid
from rekam_runtime.filtering.lexer import Lexeme, Source, Token, lex
from rekam_runtime.filtering.references import FoundReference, read_reference
from rekam_runtime.filtering.schema import Entity, Field, Schema
from rekam_runtime.filtering.tree import And, Comparison, Filter, Kind, Not, Operator, Or, Value

# Each level costs a few stack frames here and in whoever walks the tree.
MAX_DEPTH = 100
MAX_CONDITIONS = 10_000

_KEYWORDS = frozenset({"AND", "OR", "NOT", "IN", "IS", "NULL", "LIKE", "ILIKE"})
_COMPARATORS = {operator.value: operator for operator in Operator}


def parse_filter(text: str, schema: Schema, *, field: str = "filter") -> Filter | None:
    """The tree of a filter; None for an empty one, which matches everything.

    Raises Invalid(field) that points at the character where the filter is wrong.
    """
    return _Parser(Source(text, field), schema).parse()


class _Parser:
    def __init__(self, source: Source, schema: Schema) -> None:
        self._source = source
        self._schema = schema
        self._lexemes = lex(source)
        self._next = 0
        self._depth = 0
        self._conditions = 0

    def parse(self) -> Filter | None:
        if self._peek().token is Token.END:
            return None
        tree = self._any()
        if (extra := self._peek()).token is not Token.END:
            raise self._unexpected(extra, "AND, OR or the end")
        return tree

    def _any(self) -> Filter:
        terms = [self._all()]
        while self._take_keyword("OR"):
            terms.append(self._all())
        return terms[0] if len(terms) == 1 else Or(tuple(terms))

    def _all(self) -> Filter:
        terms = [self._one()]
        while self._take_keyword("AND") and self._peek().token is not Token.END:
            terms.append(self._one())
        return terms[0] if len(terms) == 1 else And(tuple(terms))

    def _one(self) -> Filter:
        opening = self._peek()
        if opening.keyword != "NOT" and opening.token is not Token.OPEN:
            return self._condition()
        self._advance()
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._fault(f"{self._source.invalid}: nested deeper than {MAX_DEPTH}", opening)
        if opening.token is Token.OPEN:
            tree = self._any()
            if self._peek().token is not Token.CLOSE:
                raise self._unexpected(self._peek(), "AND, OR or ')'")
            self._advance()
        else:
            tree = Not(self._one())
        self._depth -= 1
        return tree

    def _condition(self) -> Comparison:
        start = self._peek()
        self._conditions += 1
        if self._conditions > MAX_CONDITIONS:
            raise self._fault(f"{self._source.invalid}: more than {MAX_CONDITIONS:,} conditions", start)
        if start.token not in (Token.WORD, Token.DOUBLE, Token.BACKTICK) or start.keyword in _KEYWORDS:
            raise self._unexpected(start, "a condition such as metrics.loss < 0.5")
        found = read_reference(self._source, self._lexemes, self._next, self._schema)
        self._next = found.next
        at = self._peek()
        written, operator = self._operator()
        # A comparator of another kind of field is refused after its value, as MLflow does.
        value = self._value(found, operator)
        if operator is None or operator not in found.field.operators:
            raise self._fault(_bad_comparator(written, found.field), at)
        return Comparison(found.reference, operator, value, at.position)

    def _operator(self) -> tuple[str, Operator | None]:
        """As it is written, and what it means; None for one that has no meaning."""
        start = self._advance()
        written = start.text
        if start.token is Token.WORD:
            written = start.keyword
            if written == "IS" and self._take_keyword("NOT"):
                written = "IS NOT"
            if written in ("IS", "IS NOT"):
                if not self._take_keyword("NULL"):
                    raise self._unexpected(self._peek(), "NULL")
                written += " NULL"
            elif written == "NOT" and self._peek().keyword in ("IN", "LIKE", "ILIKE"):
                written += " " + self._advance().keyword
            elif written not in _COMPARATORS:
                raise self._unexpected(start, "a comparator such as = or LIKE")
        elif start.token is not Token.COMPARATOR:
            raise self._unexpected(start, "a comparator such as = or LIKE")
        return written, _COMPARATORS.get(written)

    def _value(self, found: FoundReference, operator: Operator | None) -> Value:
        entity, field = found.entity, found.field
        if operator in (Operator.IS_NULL, Operator.IS_NOT_NULL):
            return None
        if operator in (Operator.IN, Operator.NOT_IN) and operator in field.operators:
            return self._list()
        value = self._advance()
        if value.token in (Token.END, Token.CLOSE, Token.COMMA, Token.SEMICOLON, Token.COMPARATOR):
            raise self._unexpected(value, "a value")
        if field.kind is Kind.NUMBER:
            if field.quotable and value.token in (Token.SINGLE, Token.DOUBLE) and _is_whole(value.unquoted):
                return _number(value.unquoted)
            if value.token is not Token.NUMBER:
                raise self._fault(_not_a_number(entity, found.reference.key, value.text), value)
            return _number(value.text)
        if value.token in (Token.SINGLE, Token.DOUBLE):
            return value.unquoted
        if self._schema.bare_texts and value.token in (Token.NUMBER, Token.WORD):
            return value.text
        if value.token in (Token.WORD, Token.BACKTICK):
            raise self._fault(
                "Parameter value is either not quoted or unidentified quote types used for string value "
                f"{value.text}. Use either single or double quotes.",
                value,
            )
        if value.token is Token.OPEN and (names := _fields_with_lists(entity)):
            raise self._fault(
                f"Only the {names} attribute supports comparison with a list of quoted string values.", value
            )
        example = "" if entity.fields else " (e.g. 'my-value')"
        raise self._fault(
            f"Expected a quoted string value for {entity.plain}{example}. Got value {value.text}", value
        )

    def _list(self) -> tuple[str, ...]:
        parsing = "While parsing a list in the query, expected"
        strings = f"{parsing} a non-empty list of string values, but got"
        opening = self._advance()
        if opening.token is not Token.OPEN:
            raise self._fault(f"{strings} ill-formed list: '(' is missing", opening)
        if (first := self._peek()).token is Token.CLOSE:
            raise self._fault(f"{strings} empty list", first)
        values: list[str] = []
        while True:
            item = self._advance()
            if item.token in (Token.NUMBER, Token.WORD, Token.BACKTICK):
                raise self._fault(
                    f"{parsing} string value, punctuation, or whitespace, but got different type in list: "
                    f"{item.text}",
                    item,
                )
            if item.token not in (Token.SINGLE, Token.DOUBLE):
                raise self._fault(f"{strings} ill-formed list: a quoted string is missing", item)
            values.append(item.unquoted)
            following = self._advance()
            if following.token is Token.CLOSE:
                return tuple(values)
            if following.token is not Token.COMMA:
                raise self._fault(f"{strings} ill-formed list: ',' or ')' is missing", following)

    def _peek(self) -> Lexeme:
        return self._lexemes[self._next]

    def _advance(self) -> Lexeme:
        lexeme = self._lexemes[self._next]
        if lexeme.token is not Token.END:
            self._next += 1
        return lexeme

    def _take_keyword(self, keyword: str) -> bool:
        if self._peek().keyword != keyword:
            return False
        self._next += 1
        return True

    def _fault(self, message: str, at: Lexeme) -> Invalid:
        return self._source.fault(message, at.position)

    def _unexpected(self, found: Lexeme, expected: str) -> Invalid:
        if found.token is Token.SEMICOLON and self._source.text[found.end :].strip():
            return self._fault(
                "Search filter contained multiple expressions. Provide AND-ed expression list: "
                "';' is not accepted.",
                found,
            )
        what = f"'{found.text}'" if found.text else "it ends"
        return self._fault(f"{self._source.invalid}: {what} where {expected} is expected", found)


def _bad_comparator(written: str, field: Field) -> str:
    valid = [known.value for known in Operator if known in field.operators]
    return f"Invalid comparator '{written}' not one of {valid}"


def _fields_with_lists(entity: Entity) -> str:
    return ", ".join(f"'{field.name}'" for field in entity.fields if Operator.IN in field.operators)


def _not_a_number(entity: Entity, key: str, found: str) -> str:
    if entity.any_key is not None:
        return f"Expected numeric value type for {entity.name}. Found {found}"
    return f"Expected numeric value type for numeric {entity.name}: {key}. Found {found}"


def _is_whole(text: str) -> bool:
    return text.isascii() and text.isdecimal()


def _number(text: str) -> int | float:
    # Longer than any field of 64 bits: a float will do, and int() refuses thousands of digits.
    return int(text) if text.lstrip("-").isdecimal() and len(text) <= 20 else float(text)
