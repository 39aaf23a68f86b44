"""What a filter means: a typed tree, free of the text it came from.

Equality ignores positions, and `str()` of a tree is a filter that parses to an equal tree.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum


class Kind(Enum):
    """What a referenced field holds."""

    TEXT = "text"
    NUMBER = "number"


class Operator(Enum):
    EQ = "="
    NE = "!="
    LT = "<"
    LE = "<="
    GT = ">"
    GE = ">="
    LIKE = "LIKE"
    NOT_LIKE = "NOT LIKE"
    ILIKE = "ILIKE"
    NOT_ILIKE = "NOT ILIKE"
    IN = "IN"
    NOT_IN = "NOT IN"
    IS_NULL = "IS NULL"
    IS_NOT_NULL = "IS NOT NULL"

    @property
    def negated(self) -> Operator:
        """The operator that holds for exactly those values for which this one does not.

        Of values that are there and, for an order, comparable: NaN is neither above nor below anything.
        """
        return _NEGATED[self]


_PAIRS = (
    (Operator.EQ, Operator.NE),
    (Operator.LT, Operator.GE),
    (Operator.GT, Operator.LE),
    (Operator.LIKE, Operator.NOT_LIKE),
    (Operator.ILIKE, Operator.NOT_ILIKE),
    (Operator.IN, Operator.NOT_IN),
    (Operator.IS_NULL, Operator.IS_NOT_NULL),
)
_NEGATED = {**dict(_PAIRS), **{second: first for first, second in _PAIRS}}

Value = str | int | float | tuple[str, ...] | None

_BARE_KEY = re.compile(r"[\w.\-/:]+")
_FITS_SINGLE_QUOTES = re.compile(r"(?:''|\\'|[^'])*")


@dataclass(frozen=True, slots=True)
class Reference:
    """A field of an entity, both under their canonical names: attribute.start_time, metric.loss."""

    entity: str
    key: str
    kind: Kind = field(compare=False)
    position: int = field(default=0, compare=False)

    def __str__(self) -> str:
        key = (
            self.key
            if _BARE_KEY.fullmatch(self.key)
            else f"`{self.key}`"
            if "`" not in self.key
            else f'"{self.key}"'
        )
        return f"{self.entity}.{key}"


@dataclass(frozen=True, slots=True)
class Comparison:
    """`value`: a number for a NUMBER field; for TEXT a text, texts for IN, None for the NULL tests."""

    reference: Reference
    operator: Operator
    value: Value
    position: int = field(default=0, compare=False)

    def __str__(self) -> str:
        written = f"{self.reference} {self.operator.value}"
        return written if self.value is None else f"{written} {_written(self.value)}"


@dataclass(frozen=True, slots=True)
class And:
    terms: tuple[Filter, ...]

    def __str__(self) -> str:
        return " AND ".join(f"({term})" if isinstance(term, And | Or) else str(term) for term in self.terms)


@dataclass(frozen=True, slots=True)
class Or:
    terms: tuple[Filter, ...]

    def __str__(self) -> str:
        return " OR ".join(f"({term})" if isinstance(term, Or) else str(term) for term in self.terms)


@dataclass(frozen=True, slots=True)
class Not:
    term: Filter

    def __str__(self) -> str:
        return f"NOT ({self.term})" if isinstance(self.term, And | Or) else f"NOT {self.term}"


Filter = Comparison | And | Or | Not


@dataclass(frozen=True, slots=True)
class OrderTerm:
    reference: Reference
    descending: bool

    def __str__(self) -> str:
        return f"{self.reference} {'DESC' if self.descending else 'ASC'}"


def positive_form(tree: Filter, *, negate: bool = False) -> Comparison | And | Or:
    """The same filter without Not: negations pushed into the operators.

    This is what gives NOT its meaning: a condition on a missing key is neither true nor
    false (as in SQL), so `NOT params.x = 'a'` is `params.x != 'a'` and matches no run
    without x. Evaluating the positive form with "missing matches nothing" is exactly that.
    """
    match tree:
        case Not(term):
            return positive_form(term, negate=not negate)
        case Comparison(reference, operator, value, position):
            return Comparison(reference, operator.negated, value, position) if negate else tree
        case And(terms) | Or(terms):
            parts = tuple(positive_form(term, negate=negate) for term in terms)
            return And(parts) if isinstance(tree, And) != negate else Or(parts)


def _written(value: str | int | float | tuple[str, ...]) -> str:
    if isinstance(value, str):
        # Quotes inside a value are never unescaped, so one of the two kinds always fits.
        return f"'{value}'" if _FITS_SINGLE_QUOTES.fullmatch(value) else f'"{value}"'
    if isinstance(value, tuple):
        return f"({', '.join(_written(item) for item in value)})"
    return repr(value).replace("inf", "1e999")
