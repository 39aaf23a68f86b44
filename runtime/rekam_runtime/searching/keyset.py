"""Stable pages without OFFSET: an order of columns, and the rows that come after a given one.

A page's token holds the sort columns of its last row, so that the next page starts there
by an index walk, whatever was written in between. It is bound to its query by a digest.
"""

from __future__ import annotations

import base64
import hashlib
import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from rekam_runtime.errors import Invalid
from rekam_runtime.searching.comparing import MAX_BIGINT, MIN_BIGINT
from rekam_runtime.searching.parameters import Parameters

MAX_PAGE_SIZE = 50_000
DEFAULT_PAGE_SIZE = 1_000

Key = int | float | str


@dataclass(frozen=True, slots=True)
class SortColumn:
    """An expression that is never NULL."""

    expression: str
    # bigint, float8, text or uuid.
    sql_type: str
    descending: bool = False

    @property
    def direction(self) -> str:
        return "DESC" if self.descending else "ASC"


def number_columns(expression: str, descending: bool) -> list[SortColumn]:
    """Of a float8 that may be missing: values, then NaN, then missing, in both directions."""
    rank = f"(CASE WHEN {expression} IS NULL THEN 2 WHEN {expression} = 'NaN' THEN 1 ELSE 0 END)::bigint"
    return [
        SortColumn(rank, "bigint"),
        SortColumn(f"coalesce(nullif({expression}, 'NaN'), 0)", "float8", descending),
    ]


def text_columns(expression: str, descending: bool) -> list[SortColumn]:
    """Of a text that may be missing: values, then missing, in both directions."""
    return [
        SortColumn(f"(CASE WHEN {expression} IS NULL THEN 1 ELSE 0 END)::bigint", "bigint"),
        SortColumn(f"coalesce({expression}, '')", "text", descending),
    ]


def after(parameters: Parameters, columns: Sequence[SortColumn], keys: Sequence[Key]) -> str:
    """True for rows behind the one with these keys."""
    places = [parameters.add(column.sql_type, key) for column, key in zip(columns, keys, strict=True)]
    condition = "false"
    for column, place in reversed(list(zip(columns, places, strict=True))):
        beyond = f"{column.expression} {'<' if column.descending else '>'} {place}"
        condition = (
            beyond if condition == "false" else f"({beyond} OR {column.expression} = {place} AND {condition})"
        )
    # Implied, but a range that an index walk can start at.
    start = f"{columns[0].expression} {'<=' if columns[0].descending else '>='} {places[0]}"
    return f"{start} AND {condition}"


@dataclass(frozen=True, slots=True)
class PageToken:
    """Where the next page of a search starts: in which phase of it, behind which keys."""

    phase: int
    keys: tuple[Key, ...]

    def encode(self, query: bytes) -> str:
        content = [
            query.hex(),
            self.phase,
            [key.hex() if isinstance(key, float) else key for key in self.keys],
        ]
        return (
            base64.urlsafe_b64encode(json.dumps(content, separators=(",", ":")).encode()).decode().rstrip("=")
        )


def decode_token(token: str, query: bytes, phases: Sequence[Sequence[SortColumn]]) -> PageToken:
    """Raises Invalid(page_token) for everything that `encode` did not write for this very query."""
    try:
        decoded = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        digest, phase, raw = json.loads(decoded)
        if digest != query.hex():
            raise Invalid("Invalid page token, it belongs to another search", field="page_token")
        if type(phase) is not int or phase < 0:
            raise ValueError("not a phase")
        columns = phases[phase]
        keys = tuple(_read_key(column, key) for column, key in zip(columns, raw, strict=True))
    except (ValueError, TypeError, LookupError, RecursionError) as fault:
        raise Invalid("Invalid page token, no search returned it", field="page_token") from fault
    return PageToken(phase, keys)


def _read_key(column: SortColumn, raw: object) -> Key:
    match column.sql_type, raw:
        case "bigint", int() if MIN_BIGINT <= raw <= MAX_BIGINT:
            return raw
        case "float8", str():
            return float.fromhex(raw)
        case "text", str() if "\0" not in raw:
            raw.encode()
            return raw
        case "uuid", str():
            return uuid.UUID(raw).hex
    raise ValueError("not a key of this column")


def digest(*parts: object) -> bytes:
    """Of everything that decides which rows come in which order."""
    return hashlib.sha256(repr(parts).encode()).digest()[:12]


def page_size(requested: int, *, default: int = DEFAULT_PAGE_SIZE) -> int:
    if not 0 <= requested <= MAX_PAGE_SIZE:
        raise Invalid(
            f"page_size is 1 to {MAX_PAGE_SIZE:,}, or 0 for {default:,}; got {requested}",
            field="page_size",
        )
    return requested or default


def row_key(value: object) -> Key:
    """A sort column's value as it stands in a token."""
    if isinstance(value, uuid.UUID):
        return value.hex
    assert isinstance(value, int | float | str)
    return value
