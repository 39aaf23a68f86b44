"""What filters mean: every rule of the grammar, against a small schema of its own."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rekam_runtime.errors import Invalid
from rekam_runtime.filtering import (
    MATCHING,
    MEMBERSHIP,
    NULLNESS,
    ORDERING,
    And,
    Comparison,
    Entity,
    Field,
    Filter,
    Kind,
    Not,
    Operator,
    Or,
    Reference,
    Schema,
    Value,
    parse_filter,
    positive_form,
)

SCHEMA = Schema(
    entities=(
        Entity(
            "attribute",
            ("attributes", "attr"),
            fields=(
                Field("id", Kind.TEXT, MATCHING | MEMBERSHIP),
                Field("name", Kind.TEXT, MATCHING, aliases=("Run Name",)),
                Field("start", Kind.NUMBER, ORDERING),
                Field("version", Kind.NUMBER, ORDERING, quotable=True),
            ),
        ),
        Entity("metric", ("metrics",), any_key=Field("metric", Kind.NUMBER, ORDERING)),
        Entity("param", ("params",), any_key=Field("param", Kind.TEXT, MATCHING | NULLNESS)),
    ),
    default="attribute",
)


def ref(entity: str, key: str) -> Reference:
    return Reference(entity, key, Kind.NUMBER)


def condition(entity: str, key: str, operator: str, value: Value) -> Comparison:
    return Comparison(ref(entity, key), Operator(operator), value)


A = condition("metric", "a", ">", 1)
B = condition("metric", "b", ">", 2)
C = condition("metric", "c", ">", 3)

CONDITIONS: list[tuple[str, Filter]] = [
    # Prefixes, aliases and names without a prefix.
    ("name = 'x'", condition("attribute", "name", "=", "x")),
    ("attr.name = 'x'", condition("attribute", "name", "=", "x")),
    ("attributes.`Run Name` = 'x'", condition("attribute", "name", "=", "x")),
    ('"Run Name" = "x"', condition("attribute", "name", "=", "x")),
    ("metrics.a > 1", A),
    ("metric.a>1", A),
    # Keys: only the first dot separates; quotes for everything else.
    ("metrics.a.b.c = 1", condition("metric", "a.b.c", "=", 1)),
    ("metrics.val/loss-1:x = 1", condition("metric", "val/loss-1:x", "=", 1)),
    ("metrics.`a b` = 1", condition("metric", "a b", "=", 1)),
    ('metrics."a b" = 1', condition("metric", "a b", "=", 1)),
    ("metrics.`a.\"b'` = 1", condition("metric", "a.\"b'", "=", 1)),
    ("`metrics`.a = 1", condition("metric", "a", "=", 1)),
    ("`metrics`.`a b` = 1", condition("metric", "a b", "=", 1)),
    ('`metrics`."a b" = 1', condition("metric", "a b", "=", 1)),
    ("metrics.5 = 1", condition("metric", "5", "=", 1)),
    ("metrics.and = 1", condition("metric", "and", "=", 1)),
    ("metrics.größe = 1", condition("metric", "größe", "=", 1)),
    # Strings: either quotes, nothing unescaped.
    ('params.p = "x"', condition("param", "p", "=", "x")),
    ("params.p = 'it''s'", condition("param", "p", "=", "it''s")),
    ("params.p = 'a\\'", condition("param", "p", "=", "a\\")),
    (
        "(params.p = 'a\\' AND params.p = '\\')",
        And((condition("param", "p", "=", "a\\"), condition("param", "p", "=", "\\"))),
    ),
    ('params.p = "it\'s"', condition("param", "p", "=", "it's")),
    ("params.p = ''", condition("param", "p", "=", "")),
    ("params.p = 'a AND b'", condition("param", "p", "=", "a AND b")),
    ("params.p='x'", condition("param", "p", "=", "x")),
    # Numbers.
    ("metrics.a = -1", condition("metric", "a", "=", -1)),
    ("metrics.a<-.5", condition("metric", "a", "<", -0.5)),
    ("metrics.a = 1.", condition("metric", "a", "=", 1.0)),
    ("metrics.a = 1e3", condition("metric", "a", "=", 1000.0)),
    ("metrics.a = 1.5E-3", condition("metric", "a", "=", 0.0015)),
    ("metrics.a = 1e+3", condition("metric", "a", "=", 1000.0)),
    ("metrics.a < 1e999", condition("metric", "a", "<", float("inf"))),
    ("start >= 1700000000000", condition("attribute", "start", ">=", 1_700_000_000_000)),
    (f"start >= {'9' * 5000}", condition("attribute", "start", ">=", float("inf"))),
    # Operators, upper or lower case.
    *((f"metrics.a {op} 1", condition("metric", "a", op, 1)) for op in ("=", "!=", "<", "<=", ">", ">=")),
    *(
        (f"params.p {op} '%x%'", condition("param", "p", op.upper(), "%x%"))
        for op in ("LIKE", "like", "ILIKE", "iLike", "NOT LIKE", "not ilike", "=", "!=")
    ),
    ("id IN ('a', \"b\")", condition("attribute", "id", "IN", ("a", "b"))),
    ("id not in('a')", condition("attribute", "id", "NOT IN", ("a",))),
    ("params.p IS NULL", condition("param", "p", "IS NULL", None)),
    ("params.p is not null", condition("param", "p", "IS NOT NULL", None)),
]


@pytest.mark.parametrize(("text", "expected"), CONDITIONS, ids=[text[:40] for text, _ in CONDITIONS])
def test_a_condition(text: str, expected: Filter) -> None:
    assert parse_filter(text, SCHEMA) == expected
    assert parse_filter(f" \n({text}\t) ", SCHEMA) == expected


def test_a_whole_number_may_stand_in_quotes_where_its_field_says_so() -> None:
    for written in ("12", "'12'", '"12"'):
        assert parse_filter(f"version >= {written}", SCHEMA) == condition("attribute", "version", ">=", 12)
    for wrong in ("'1.5'", "'-1'", "''", "'a'", "'²'", "`1`"):
        with pytest.raises(Invalid, match="Expected numeric value type for numeric attribute: version"):
            parse_filter(f"version = {wrong}", SCHEMA)


TREES: list[tuple[str, Filter | None]] = [
    ("", None),
    (" \n ", None),
    ("metrics.a > 1 AND metrics.b > 2", And((A, B))),
    ("metrics.a > 1 and metrics.b > 2 aNd metrics.c > 3", And((A, B, C))),
    ("metrics.a > 1 AND", A),
    ("metrics.a > 1 AND metrics.b > 2 AND ", And((A, B))),
    ("metrics.a > 1 OR metrics.b > 2 AND metrics.c > 3", Or((A, And((B, C))))),
    ("(metrics.a > 1 OR metrics.b > 2) AND metrics.c > 3", And((Or((A, B)), C))),
    ("NOT metrics.a > 1 AND metrics.b > 2", And((Not(A), B))),
    ("NOT (metrics.a > 1 AND metrics.b > 2)", Not(And((A, B)))),
    ("not not metrics.a > 1", Not(Not(A))),
    ("((metrics.a > 1))", A),
]


@pytest.mark.parametrize(("text", "expected"), TREES, ids=[text for text, _ in TREES])
def test_a_tree(text: str, expected: Filter | None) -> None:
    assert parse_filter(text, SCHEMA) == expected


BARE: list[tuple[str, Filter]] = [
    ("params.p = 0.10", condition("param", "p", "=", "0.10")),
    ("params.p = -1e-3", condition("param", "p", "=", "-1e-3")),
    ("params.p != adam", condition("param", "p", "!=", "adam")),
    ("params.p = 'adam'", condition("param", "p", "=", "adam")),
    ("metrics.a = 1", condition("metric", "a", "=", 1)),
]


@pytest.mark.parametrize(("text", "expected"), BARE, ids=[text for text, _ in BARE])
def test_texts_without_quotes_where_a_schema_takes_them(text: str, expected: Filter) -> None:
    assert parse_filter(text, replace(SCHEMA, bare_texts=True)) == expected


def test_positions_are_those_of_the_reference_and_the_comparator() -> None:
    tree = parse_filter("  metrics.a  >= 1", SCHEMA)
    assert isinstance(tree, Comparison)
    assert (tree.reference.position, tree.position) == (2, 13)


def test_ten_thousand_conditions_are_one_flat_list() -> None:
    tree = parse_filter(" OR ".join(["metrics.a > 1"] * 10_000), SCHEMA)
    assert isinstance(tree, Or)
    assert len(tree.terms) == 10_000


def test_negations_end_in_the_operators() -> None:
    tree = parse_filter("NOT (metrics.a > 1 AND NOT (params.p LIKE 'x' OR params.q IS NULL))", SCHEMA)
    assert tree is not None
    assert positive_form(tree) == parse_filter(
        "metrics.a <= 1 OR (params.p LIKE 'x' OR params.q IS NULL)", SCHEMA
    )
    assert positive_form(tree, negate=True) == parse_filter(
        "metrics.a > 1 AND (params.p NOT LIKE 'x' AND params.q IS NOT NULL)", SCHEMA
    )


keys = st.text(min_size=1, max_size=8).filter(lambda key: "\0" not in key and not ("`" in key and '"' in key))
# What a quoted string can hold: one kind of quote at most, as nothing is unescaped.
texts = st.text(max_size=8).filter(lambda text: "\0" not in text and not ("'" in text and '"' in text))
numbers = st.integers(-(10**17), 10**17) | st.floats(allow_nan=False)
conditions = st.one_of(
    st.builds(
        lambda key, op, value: condition("metric", key, op, value),
        keys,
        st.sampled_from(["=", "!=", "<", "<=", ">", ">="]),
        numbers,
    ),
    st.builds(
        lambda key, op, value: condition("param", key, op, value),
        keys,
        st.sampled_from(["=", "!=", "LIKE", "NOT LIKE", "ILIKE", "NOT ILIKE"]),
        texts,
    ),
    st.builds(
        lambda key, op: condition("param", key, op, None), keys, st.sampled_from(["IS NULL", "IS NOT NULL"])
    ),
    st.builds(
        lambda op, values: condition("attribute", "id", op, tuple(values)),
        st.sampled_from(["IN", "NOT IN"]),
        st.lists(texts, min_size=1, max_size=3),
    ),
)
trees = st.recursive(
    conditions,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(lambda terms: And(tuple(terms)), st.lists(inner, min_size=2, max_size=4)),
        st.builds(lambda terms: Or(tuple(terms)), st.lists(inner, min_size=2, max_size=4)),
    ),
    max_leaves=12,
)


@given(trees)
def test_a_printed_tree_parses_to_an_equal_one(tree: Filter) -> None:
    assert parse_filter(str(tree), SCHEMA) == tree


@given(trees)
def test_a_positive_form_has_no_negation_and_negates_back(tree: Filter) -> None:
    positive = positive_form(tree)
    assert "Not(" not in repr(positive)
    assert positive_form(positive, negate=True) == positive_form(Not(tree))
    assert positive_form(Not(Not(tree))) == positive


words = st.sampled_from(
    "metrics.a params.p name id start AND OR NOT ( ) , ; = != >= IN IS NULL LIKE".split()
    + "'x' \"y\" `z` 1 -2.5e3 ' \" ` . \\ é".split()
)


@given(
    st.one_of(
        st.text(max_size=60),
        st.lists(words, max_size=15).map(" ".join),
        st.lists(words, max_size=15).map("".join),
    )
)
def test_no_text_does_anything_but_parse_or_be_refused(text: str) -> None:
    fault: Invalid | None = None
    tree: Filter | None = None
    try:
        tree = parse_filter(text, SCHEMA)
    except Invalid as error:
        fault = error
    if fault is not None:
        assert fault.field == "filter"
        assert "at character " in fault.message
    assert tree is None or parse_filter(str(tree), SCHEMA) == tree
