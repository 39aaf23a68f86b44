"""Filters and orders that are wrong: the texts MLflow programs match, and the character at fault."""

from __future__ import annotations

import pytest

from rekam_runtime.errors import Invalid
from rekam_runtime.filtering import (
    EQUALITY,
    MATCHING,
    MEMBERSHIP,
    NULLNESS,
    ORDERING,
    Entity,
    Field,
    Kind,
    OrderTerm,
    Reference,
    Schema,
    parse_filter,
    parse_order_by,
)

SCHEMA = Schema(
    entities=(
        Entity(
            "attribute",
            ("attr",),
            fields=(
                Field("run_id", Kind.TEXT, MATCHING | MEMBERSHIP),
                Field("status", Kind.TEXT, EQUALITY),
                Field("start_time", Kind.NUMBER, ORDERING),
                Field("rowid", Kind.NUMBER, frozenset()),
                Field("secret", Kind.TEXT, EQUALITY, sortable=False),
            ),
            said="attributes",
        ),
        Entity("metric", ("metrics",), any_key=Field("metric", Kind.NUMBER, ORDERING)),
        Entity("tag", ("tags",), any_key=Field("tag", Kind.TEXT, MATCHING | NULLNESS)),
        Entity("note", (), any_key=Field("note", Kind.TEXT, EQUALITY, sortable=False)),
    ),
    default="attribute",
)

INVALID_CLAUSE = "Invalid clause(s) in filter string: "
TYPES = "While parsing a list in the query, expected string value, punctuation, or whitespace, but got "
LIST = "While parsing a list in the query, expected a non-empty list of string values, but got "

# "^" stands before the character that the message must point at.
WRONG: list[tuple[str, str]] = [
    ("^dataset.x = 'a'", "Invalid entity type 'dataset'. Valid values are ['attribute', 'attr', 'metric', "),
    ("^Metrics.x = 1", "Invalid entity type 'Metrics'. Valid values are ["),
    ("^colour = 'a'", "Invalid attribute key 'colour' specified. Valid keys are ['run_id', 'status', "),
    ("attr.^colour = 'a'", "Invalid attribute key 'colour' specified. Valid keys are ["),
    ("^rowid = 1", "Invalid attribute key 'rowid' specified. Valid keys are ["),
    ("^`run id` = 'a'", "Invalid attribute key 'run id' specified"),
    ("metrics.^ = 1", INVALID_CLAUSE + "a key is missing after 'metrics.'"),
    ("`metrics`.^ x = 1", INVALID_CLAUSE + "a key is missing after 'metrics.'"),
    ("^`colour`.x = 1", "Invalid entity type 'colour'. Valid values are ["),
    ("metrics.^`` = 1", INVALID_CLAUSE + "a key is missing after 'metrics.'"),
    # Comparators.
    ("metrics.x ^== 1", "Invalid comparator '==' not one of ['=', '!=', '<', '<=', '>', '>=']"),
    ("metrics.x ^<> 1", "Invalid comparator '<>' not one of "),
    ("metrics.x ^LIKE 5", "Invalid comparator 'LIKE' not one of "),
    ("metrics.x LIKE ^'a'", "Expected numeric value type for metric. Found 'a'"),
    ("metrics.x ^IS NULL", "Invalid comparator 'IS NULL' not one of "),
    ("metrics.x IN ^('a')", "Expected numeric value type for metric. Found ("),
    ("metrics.x ^IN 5", "Invalid comparator 'IN' not one of "),
    ("tags.x ^> 'a'", "Invalid comparator '>' not one of ['=', '!=', 'LIKE', "),
    ("tags.x ^not in 'a'", "Invalid comparator 'NOT IN' not one of "),
    ("tags.x not in ^('a')", "Expected a quoted string value for tag (e.g. 'my-value'). Got value ("),
    ("status ^like 'a'", "Invalid comparator 'LIKE' not one of ['=', '!=']"),
    (
        "status IN ^('a')",
        "Only the 'run_id' attribute supports comparison with a list of quoted string values.",
    ),
    ("status ^is not null", "Invalid comparator 'IS NOT NULL' not one of "),
    ("tags.x ^'a'", INVALID_CLAUSE + "''a'' where a comparator"),
    ("tags.x ^BETWEEN 'a'", INVALID_CLAUSE + "'BETWEEN' where a comparator"),
    ("tags.x ^NOT 'a'", INVALID_CLAUSE + "'NOT' where a comparator"),
    ("tags.x IS ^'a'", INVALID_CLAUSE + "''a'' where NULL is expected"),
    ("tags.x IS NOT^", INVALID_CLAUSE + "it ends where NULL is expected"),
    ("tags.x^", INVALID_CLAUSE + "it ends where a comparator"),
    # Values.
    ("metrics.x = ^'1'", "Expected numeric value type for metric. Found '1'"),
    ("metrics.x = ^one", "Expected numeric value type for metric. Found one"),
    ("metrics.x = ^nan", "Expected numeric value type for metric. Found nan"),
    ("metrics.x = ^1_000", "Expected numeric value type for metric. Found 1_000"),
    ("metrics.x = ^0x10", "Expected numeric value type for metric. Found 0x10"),
    ("metrics.x = ^+1", INVALID_CLAUSE + "'+' has no meaning here"),
    ("metrics.x = ^-", INVALID_CLAUSE + "'-' has no meaning here"),
    ("start_time > ^'5'", "Expected numeric value type for numeric attribute: start_time. Found '5'"),
    ("status = ^5", "Expected a quoted string value for attributes. Got value 5"),
    ("tags.x = ^5", "Expected a quoted string value for tag (e.g. 'my-value'). Got value 5"),
    ("tags.x = ^('a')", "Expected a quoted string value for tag (e.g. 'my-value'). Got value ("),
    (
        "tags.x = ^word",
        "Parameter value is either not quoted or unidentified quote types used for string value word",
    ),
    (
        "tags.x = ^`a`",
        "Parameter value is either not quoted or unidentified quote types used for string value `a`",
    ),
    ("tags.x = ^'a", INVALID_CLAUSE + "a ' that is never closed"),
    ('tags.x = ^"a', INVALID_CLAUSE + 'a " that is never closed'),
    ("tags.^`x = 'a'", INVALID_CLAUSE + "a ` that is never closed"),
    ("tags.x = ^", INVALID_CLAUSE + "it ends where a value is expected"),
    ("tags.x = ^= 'a'", INVALID_CLAUSE + "'=' where a value is expected"),
    ("tags.x = '^\0'", INVALID_CLAUSE + "a NUL character"),
    # Lists.
    ("run_id IN (^)", LIST + "empty list"),
    ("run_id IN ^'a'", LIST + "ill-formed list"),
    ("run_id IN^", LIST + "ill-formed list"),
    ("run_id IN ('a'^", LIST + "ill-formed list"),
    ("run_id IN ('a',^)", LIST + "ill-formed list"),
    ("run_id IN ('a' ^'b')", LIST + "ill-formed list"),
    ("run_id IN (^1)", TYPES + "different type in list"),
    ("run_id IN ('a', ^b)", TYPES + "different type in list"),
    # How conditions are put together.
    (
        "metrics.x = 1^; DROP TABLE runs",
        "Search filter contained multiple expressions. Provide AND-ed expression list",
    ),
    ("metrics.x = 1^;", INVALID_CLAUSE + "';' where AND, OR or the end is expected"),
    ("^;", INVALID_CLAUSE + "';' where a condition"),
    ("metrics.x = 1 ^metrics.y = 2", INVALID_CLAUSE + "'metrics.y' where AND, OR or the end is expected"),
    ("metrics.x = 1 ^, metrics.y = 2", INVALID_CLAUSE + "',' where AND, OR or the end is expected"),
    ("metrics.x = 1^)", INVALID_CLAUSE + "')' where AND, OR or the end is expected"),
    ("(metrics.x = 1^", INVALID_CLAUSE + "it ends where AND, OR or ')' is expected"),
    ("(metrics.x = 1 AND ^)", INVALID_CLAUSE + "')' where a condition"),
    ("(^)", INVALID_CLAUSE + "')' where a condition"),
    ("^AND metrics.x = 1", INVALID_CLAUSE + "'AND' where a condition"),
    ("metrics.x = 1 AND ^AND", INVALID_CLAUSE + "'AND' where a condition"),
    ("metrics.x = 1 OR^", INVALID_CLAUSE + "it ends where a condition"),
    ("metrics.x = 1 AND ^OR metrics.x = 1", INVALID_CLAUSE + "'OR' where a condition"),
    ("NOT^", INVALID_CLAUSE + "it ends where a condition"),
    ("^'a' = tags.x", INVALID_CLAUSE + "''a'' where a condition"),
    ("^5 < metrics.x", INVALID_CLAUSE + "'5' where a condition"),
    ("^like = 'a'", INVALID_CLAUSE + "'like' where a condition"),
    ("metrics.x = 1 ^& metrics.y = 2", INVALID_CLAUSE + "'&' has no meaning here"),
    (
        "(" * 100 + "^" + "(" * 9_900 + "metrics.x = 1" + ")" * 10_000,
        INVALID_CLAUSE + "nested deeper than 100",
    ),
    ("NOT " * 100 + "^" + "NOT " * 9_900 + "metrics.x = 1", INVALID_CLAUSE + "nested deeper than 100"),
    ("metrics.x = 1 AND " * 10_000 + "^metrics.x = 1", INVALID_CLAUSE + "more than 10,000 conditions"),
]


@pytest.mark.parametrize(("marked", "text"), WRONG, ids=[marked[:40] for marked, _ in WRONG])
def test_a_wrong_filter_is_refused_with_its_place(marked: str, text: str) -> None:
    position = marked.index("^")
    with pytest.raises(Invalid) as caught:
        parse_filter(marked.replace("^", "", 1), SCHEMA)
    assert caught.value.field == "filter"
    message, place, line, caret = caught.value.message.rsplit("\n", 3)
    assert message.startswith(text)
    assert place == f"at character {position + 1}:"
    written = marked.replace("^", "", 1).replace("\0", " ")
    under = line[len(caret) - 1 :].removesuffix("…")
    assert written[position:].startswith(under)
    assert bool(under) == (position < len(written))


def test_the_message_shows_the_place() -> None:
    with pytest.raises(Invalid) as caught:
        parse_filter("metrics.loss < 0.5 AND params.depth = '5'", SCHEMA)
    assert caught.value.message.splitlines()[1:] == [
        "at character 24:",
        "  metrics.loss < 0.5 AND params.depth = '5'",
        "                         ^",
    ]


def test_only_the_surroundings_of_a_fault_in_a_long_filter_are_shown() -> None:
    with pytest.raises(Invalid) as caught:
        parse_filter("metrics.x = 1 AND " * 1_000 + "oops = 1" + " AND metrics.x = 1" * 1_000, SCHEMA)
    assert len(caught.value.message) < 500


def test_a_filter_over_the_limit_is_refused() -> None:
    with pytest.raises(Invalid, match="at most 1,000,000 characters"):
        parse_filter("x" * 1_000_001, SCHEMA)


ORDERS: list[tuple[str, OrderTerm]] = [
    ("metrics.loss", OrderTerm(Reference("metric", "loss", Kind.NUMBER), False)),
    ("metrics.loss ASC", OrderTerm(Reference("metric", "loss", Kind.NUMBER), False)),
    ("metrics.`a b` desc", OrderTerm(Reference("metric", "a b", Kind.NUMBER), True)),
    (' tags."x" \t Desc ', OrderTerm(Reference("tag", "x", Kind.TEXT), True)),
    ("start_time DESC", OrderTerm(Reference("attribute", "start_time", Kind.NUMBER), True)),
    ("rowid", OrderTerm(Reference("attribute", "rowid", Kind.NUMBER), False)),
]


@pytest.mark.parametrize(("clause", "term"), ORDERS, ids=[clause for clause, _ in ORDERS])
def test_an_order_clause(clause: str, term: OrderTerm) -> None:
    assert parse_order_by([clause], SCHEMA) == [term]
    assert parse_order_by([str(term)], SCHEMA) == [term]


WRONG_ORDERS: list[tuple[str, str]] = [
    ("^", "Invalid order_by clause ''. Could not be parsed."),
    ("^'x'", "Invalid order_by clause"),
    ("^5", "Invalid order_by clause"),
    ("start_time ^UP", "Invalid ordering key in order_by clause 'start_time UP'."),
    ("start_time ^UP AND AWAY", "Invalid order_by clause 'start_time UP AND AWAY'. Could not be parsed."),
    ("^note.x", "Invalid order_by entity: note"),
    ("start_time ASC^, run_id", "Invalid order_by clause"),
    ("start_time ^, run_id", "Invalid order_by clause"),
    ("start_time ASC ^DESC", "Invalid order_by clause"),
    ("^parent.x", "Invalid entity type 'parent'. Valid values are ["),
    ("^colour", "Invalid attribute key 'colour' specified. Valid keys are ['run_id', "),
    ("^secret", "Invalid attribute key 'secret' specified. Valid keys are ["),
    ("tags.^", "Invalid clause(s) in order_by[1] string: a key is missing after 'tags.'"),
    ("^run_id DESC", "`order_by` contains duplicate fields: attribute.run_id"),
]


@pytest.mark.parametrize(("marked", "text"), WRONG_ORDERS, ids=[marked for marked, _ in WRONG_ORDERS])
def test_a_wrong_order_is_refused_with_its_place(marked: str, text: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse_order_by(["attr.run_id", marked.replace("^", "")], SCHEMA)
    assert caught.value.field == "order_by[1]"
    assert caught.value.message.startswith(text)
    assert f"at character {marked.index('^') + 1}:" in caught.value.message


def test_too_many_order_clauses_are_refused() -> None:
    with pytest.raises(Invalid, match="at most 32 clauses") as caught:
        parse_order_by([f"metrics.m{i}" for i in range(33)], SCHEMA)
    assert caught.value.field == "order_by"
