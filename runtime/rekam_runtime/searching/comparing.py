"""Conditions on one column. Each is true or not for a value that is there; NULL never matches."""

from __future__ import annotations

import math

from rekam_runtime.filtering import Comparison, Operator
from rekam_runtime.searching.parameters import Parameters

MIN_BIGINT, MAX_BIGINT = -(2**63), 2**63 - 1
# As far as the indexes on values reach (migrations/0001).
HEAD_CHARS = 200


def text_condition(parameters: Parameters, column: str, comparison: Comparison, *, head: bool = False) -> str:
    """Byte by byte; LIKE knows % and _ and no escape; ILIKE folds ASCII letters.

    head: the column is indexed by left(column, HEAD_CHARS).
    """
    operator, value = comparison.operator, comparison.value
    if isinstance(value, tuple):
        any_of = f"{column} = ANY({parameters.add('text[]', value)})"
        if operator is Operator.NOT_IN:
            return f"NOT {any_of}"
        if head:
            heads = parameters.add("text[]", [item[:HEAD_CHARS] for item in value])
            return f"left({column}, {HEAD_CHARS}) = ANY({heads}) AND {any_of}"
        return any_of
    assert isinstance(value, str)
    if operator in (Operator.EQ, Operator.NE):
        equal = f"{column} {operator.value} {parameters.add('text', value)}"
        if not head or operator is Operator.NE:
            return equal
        # A head shorter than the index reaches is the whole value.
        same_head = f"left({column}, {HEAD_CHARS}) = {parameters.add('text', value[:HEAD_CHARS])}"
        return same_head if len(value) < HEAD_CHARS else f"{same_head} AND {equal}"
    if head and operator is Operator.LIKE and _is_beginning(value):
        column = f"left({column}, {HEAD_CHARS})"
    pattern = parameters.add("text", value.replace("\\", "\\\\"))
    return f"{column} {operator.value} {pattern}"


def _is_beginning(pattern: str) -> bool:
    """Whether it says with which characters a text begins, and nothing else, within an index's reach."""
    beginning = pattern.removesuffix("%")
    return beginning != pattern and len(beginning) <= HEAD_CHARS and not {"%", "_"} & set(beginning)


def integer_condition(parameters: Parameters, column: str, comparison: Comparison) -> str:
    """A bigint against any number, exactly: a fraction or a number out of range has its own answer."""
    operator, value = comparison.operator, comparison.value
    assert isinstance(value, int | float)
    floor = (
        MAX_BIGINT + 1 if value == math.inf else MIN_BIGINT - 1 if value == -math.inf else math.floor(value)
    )
    if floor != value or not MIN_BIGINT <= floor <= MAX_BIGINT:
        # Between two integers, or beyond all of them: never equal.
        if operator is Operator.EQ:
            return "false"
        if operator is Operator.NE:
            return f"{column} IS NOT NULL"
        if floor > MAX_BIGINT or floor < MIN_BIGINT:
            holds = (floor > MAX_BIGINT) == (operator in (Operator.LT, Operator.LE))
            return f"{column} IS NOT NULL" if holds else "false"
        operator = Operator.LE if operator in (Operator.LT, Operator.LE) else Operator.GT
    return f"{column} {operator.value} {parameters.add('bigint', floor)}"


def float_condition(parameters: Parameters, column: str, comparison: Comparison) -> str:
    """A float8, where NaN meets `!=` only. Postgres sorts it above all."""
    operator, value = comparison.operator, comparison.value
    assert isinstance(value, int | float)
    matches = f"{column} {operator.value} {parameters.add('float8', float(value))}"
    above = operator in (Operator.GT, Operator.GE)
    return f"{matches} AND {column} < 'NaN'" if above else matches
