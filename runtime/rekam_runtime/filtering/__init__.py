"""Filters and orders that users write, parsed into a typed tree against a schema the caller gives."""

from rekam_runtime.filtering.order import parse_order_by
from rekam_runtime.filtering.parser import parse_filter
from rekam_runtime.filtering.references import read_key
from rekam_runtime.filtering.schema import (
    EQUALITY,
    MATCHING,
    MEMBERSHIP,
    NULLNESS,
    ORDERING,
    Entity,
    Field,
    Schema,
)
from rekam_runtime.filtering.tree import (
    And,
    Comparison,
    Filter,
    Kind,
    Not,
    Operator,
    Or,
    OrderTerm,
    Reference,
    Value,
    positive_form,
)

__all__ = [
    "EQUALITY",
    "MATCHING",
    "MEMBERSHIP",
    "NULLNESS",
    "ORDERING",
    "And",
    "Comparison",
    "Entity",
    "Field",
    "Filter",
    "Kind",
    "Not",
    "Operator",
    "Or",
    "OrderTerm",
    "Reference",
    "Schema",
    "Value",
    "parse_filter",
    "parse_order_by",
    "positive_form",
    "read_key",
]
