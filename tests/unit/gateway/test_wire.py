"""The wire's two readings: what the types say at once, everything else slowly, with MLflow's words."""

from __future__ import annotations

import enum
import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct
from starlette.datastructures import QueryParams

from rekam_gateway.http.wire import Int32, Int64, Number, Text, encode, number, read_body, read_query
from rekam_runtime.errors import Invalid


class Color(enum.StrEnum):
    RED = "RED"
    BLUE = "BLUE"


class Item(Struct):
    key: Text
    value: str = ""


class Asked(Struct):
    run_id: Text
    name: str = ""
    count: Int64 = 7
    small: Int32 = 0
    ratio: float = 0.5
    flag: bool = False
    color: Color | None = None
    items: list[Item] = []
    ids: list[str] = []


def read(**fields: Any) -> Asked:
    return read_body(Asked, json.dumps({"run_id": "r", **fields}).encode(), {})


def refused(body: bytes | dict[str, Any]) -> str:
    raw = body if isinstance(body, bytes) else json.dumps({"run_id": "r", **body}).encode()
    with pytest.raises(Invalid) as error:
        read_body(Asked, raw, {})
    return error.value.message


def test_defaults_stand_for_what_is_absent_or_null() -> None:
    assert read() == Asked("r")
    assert read(name=None, count=None, items=None, color=None, unknown={"a": 1}) == Asked("r")


@pytest.mark.parametrize("value", [12, "12", 12.0])
def test_integers_come_as_numbers_or_texts(value: object) -> None:
    assert read(count=value).count == 12


@pytest.mark.parametrize(
    ("text", "value"), [("NaN", math.nan), ("Infinity", math.inf), ("-Infinity", -math.inf)]
)
def test_what_json_has_no_numbers_for_is_text(text: str, value: float) -> None:
    assert repr(read(ratio=text).ratio) == repr(value)
    assert number(value) == text


def test_other_numbers_are_themselves() -> None:
    assert read(ratio="1.5e3").ratio == 1500.0
    assert read(ratio=3).ratio == 3.0
    assert number(0.1) == 0.1


@pytest.mark.parametrize("literal", [b"NaN", b"Infinity", b"-Infinity", b"1e999"])
def test_what_json_has_no_numbers_for_is_no_literal(literal: bytes) -> None:
    with pytest.raises(Invalid, match="for parameter 'ratio' supplied"):
        read_body(Asked, b'{"run_id": "r", "ratio": %b}' % literal, {})


@pytest.mark.parametrize("value", ["BLUE", 2])
def test_enums_come_by_name_or_number(value: object) -> None:
    assert read(color=value).color is Color.BLUE


@pytest.mark.parametrize(
    ("field", "value", "kind"),
    [
        *(("count", value, "str") for value in ("x", "", "1.5", "1_0", " 1", "٣", "1" * 30)),
        *(("count", value, "float") for value in (1.5, 1e300)),
        *(("count", value, "bool") for value in (True,)),
        *(("count", value, "int") for value in (2**63, -(2**63) - 1)),
        ("small", 2**31, "int"),
        *(("ratio", value, "str") for value in ("nan", "inf", "x", "", "1_0")),
        ("ratio", True, "bool"),
        ("ratio", 10**400, "int"),
        *(("flag", value, "str") for value in ("true",)),
        *(("color", value, "str") for value in ("red", "GREEN", "")),
        *(("color", value, "int") for value in (0, 3)),
        ("name", 5, "int"),
        ("name", "\ud800", "str"),
        ("items", {}, "dict"),
        ("ids", "a", "str"),
    ],
)
def test_a_wrong_type_is_named_as_mlflow_names_it(field: str, value: object, kind: str) -> None:
    shown = json.dumps(value, separators=(",", ":"))
    assert refused({field: value}) == (
        f"Invalid value {shown} for parameter '{field}' supplied:  Hint: Value was of type '{kind}'. "
        "See the API docs for more information about request parameters."
    )


def test_a_value_that_is_shown_is_shown_in_part() -> None:
    assert len(refused({"count": "x" * 100_000})) < 1_500


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"run_id": ""}, "run_id"),
        ({"run_id": None}, "run_id"),
        ({"items": [{"key": "a"}, {"value": "b"}]}, "items[1].key"),
        ({"items": [{"key": ""}]}, "items[0].key"),
        (b"{}", "run_id"),
        (b"", "run_id"),
        (b"not json", "run_id"),
        (b"\xff\xfe", "run_id"),
        (b"[" * 100_000, "run_id"),
        (b'{"run_id": ' + b"1" * 10_000 + b"}", "run_id"),
        (b'"not json"', "run_id"),
    ],
)
def test_what_is_missing_is_named_by_its_path(body: bytes | dict[str, Any], field: str) -> None:
    assert refused(body) == (
        f"Missing value for required parameter '{field}'. "
        "See the API docs for more information about request parameters."
    )


def test_an_item_of_the_wrong_type_is_named_by_its_path() -> None:
    assert "for parameter 'items[0].value' supplied" in refused({"items": [{"key": "k", "value": 1}]})
    assert "for parameter 'ids[1]' supplied" in refused({"ids": ["a", 1]})


def test_old_clients_encode_twice_and_say_run_uuid() -> None:
    assert read_body(Asked, json.dumps(json.dumps({"run_uuid": "old"})).encode(), {}).run_id == "old"
    assert read_query(Asked, QueryParams("run_uuid=old"), {}).run_id == "old"


def test_a_query_is_read_by_its_fields_types() -> None:
    query = QueryParams("run_id=r&count=3&ids=a&ids=b&flag=True&color=RED&ratio=NaN&other=1&name=x&name=y")
    asked = read_query(Asked, query, {})
    assert (asked.count, asked.ids, asked.flag, asked.color, asked.name) == (
        3,
        ["a", "b"],
        True,
        Color.RED,
        "x",
    )
    with pytest.raises(Invalid, match="Invalid boolean value: yes, must be 'true' or 'false'"):
        read_query(Asked, QueryParams("run_id=r&flag=yes"), {})


def test_fields_of_the_path_stand_over_those_of_the_body() -> None:
    assert read_body(Asked, b'{"run_id": "body", "name": "n"}', {"run_id": "path"}) == Asked("path", "n")
    assert read_query(Asked, QueryParams("run_id=query"), {"run_id": "path"}).run_id == "path"


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from([*Asked.__struct_fields__, "run_uuid", "other"]), _JSON))
def test_whatever_comes_is_read_or_refused(body: dict[str, Any]) -> None:
    try:
        asked = read_body(Asked, json.dumps(body).encode(), {})
    except Invalid as error:
        error.message.encode()
    else:
        assert asked.run_id
        encode(asked)


@settings(deadline=None)
@given(st.binary(max_size=64))
def test_whatever_bytes_come_are_read_or_refused(body: bytes) -> None:
    with pytest.raises(Invalid, match="Missing value for required parameter 'run_id'"):
        read_body(Asked, body, {})


def test_an_answer_of_numbers() -> None:
    class Answer(Struct):
        value: Number

    assert encode(Answer(number(math.inf))) == b'{"value":"Infinity"}'
