"""Searches for experiments over HTTP: MLflow's filters and orders rule by rule, and what ours take beyond."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.mlflow_rest import Rest

PATH = "experiments/search"


@pytest.fixture
def ids(rest: Rest) -> dict[str, str]:
    """By name; with Default, which is always there, in the order of their creation."""

    def create(name: str, **tags: str) -> str:
        pairs = [{"key": key, "value": value} for key, value in tags.items()]
        return str(rest.tell("experiments/create", name=name, tags=pairs)["experiment_id"])

    found = {
        "House Price": create("House Price", team="Vision", note='50% "off"'),
        "house price": create("house price", team="vision"),
        "gone": create("gone", team=""),
        "last": create("last"),
    }
    rest.tell("experiments/delete", experiment_id=found["gone"])
    return found


def names(rest: Rest, filter: str = "", **fields: Any) -> list[str]:
    found = rest.tell(PATH, **{"max_results": 100, "filter": filter, **fields})
    return [each["name"] for each in found.get("experiments", [])]


ALL = ["Default", "House Price", "house price", "last"]
# {last} is the id of last.
FILTERS: list[tuple[str, list[str]]] = [
    ("", ALL),
    ("name = 'House Price'", ["House Price"]),
    ('name = "house price"', ["house price"]),
    ("attribute.name != 'last'", ALL[:3]),
    ("attributes.name LIKE 'H%'", ["House Price"]),
    ("name ILIKE 'HOUSE%'", ["House Price", "house price"]),
    ("experiment_id = '{last}'", ["last"]),
    ("experiment_id IN ('0', '{last}', 'x')", ["Default", "last"]),
    ("experiment_id NOT IN ('0', '{last}')", ["House Price", "house price"]),
    ("creation_time > 0", ALL),
    ("creation_time < 1 ", []),
    ("last_update_time >= 1 and creation_time != 1", ALL),
    ("tags.team = 'vision'", ["house price"]),
    ("tag.team != 'vision'", ["House Price"]),
    ("tags.`team` LIKE 'V%'", ["House Price"]),
    ("tags.\"team\" ILIKE 'V%'", ["House Price", "house price"]),
    ("tags.note LIKE '%\"off\"'", ["House Price"]),
    ("tags.team IS NULL", ["Default", "last"]),
    ("tags.team IS NOT NULL AND name LIKE 'h%' AND", ["house price"]),
    ("name = 'last' OR NOT (tags.team = 'Vision')", ["house price", "last"]),
]


def test_filters(rest: Rest, ids: dict[str, str]) -> None:
    for text, found in FILTERS:
        assert sorted(names(rest, text.replace("{last}", ids["last"]))) == found, text


def test_views_and_methods(rest: Rest, ids: dict[str, str]) -> None:
    assert names(rest, view_type="DELETED_ONLY") == ["gone"]
    assert names(rest, "tags.team = ''", view_type="ALL") == ["gone"]
    assert sorted(names(rest, view_type="ALL")) == sorted([*ALL, "gone"])
    found = rest.ask(PATH, max_results=2, order_by=["name", "experiment_id"], view_type="ALL")
    assert [each["name"] for each in found["experiments"]] == ["Default", "House Price"]
    assert names(rest, "name = 'nothing'") == []
    assert rest.tell(PATH, max_results=1, filter="name = 'nothing'") == {}


ORDERS: list[tuple[list[str], list[str]]] = [
    (["name"], ALL),
    (["name DESC"], ALL[::-1]),
    (["attribute.name asc"], ALL),
    (["experiment_id"], ALL),
    (["experiment_id DESC"], ALL[::-1]),
    (["creation_time", "experiment_id"], ALL),
    (["last_update_time DESC", "name DESC"], ALL[::-1]),
]


def test_orders_and_pages(rest: Rest, ids: dict[str, str]) -> None:
    rest.tell("experiments/update", experiment_id="0", new_name="Default")
    assert names(rest)[-1] == "Default"
    for order, found in ORDERS:
        assert names(rest, order_by=order) == found, order
        for size in (1, 3, 4):
            paged: list[str] = []
            token = ""
            while not paged or token:
                page = rest.tell(PATH, max_results=size, order_by=order, page_token=token)
                paged += [each["name"] for each in page["experiments"]]
                token = page.get("next_page_token", "")
            assert paged == found, (order, size)


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"filter": "colour = 'a'"}, "Invalid attribute key 'colour' specified. Valid keys are "),
    ({"filter": "metrics.x = 1"}, "Invalid entity type 'metrics'. "),
    ({"filter": "name > 'a'"}, "Invalid comparator '>' not one of "),
    ({"filter": "name IS NULL"}, "Invalid comparator 'IS NULL' not one of "),
    ({"filter": "tags.x = 5"}, "Expected a quoted string value for tag (e.g. 'my-value'). Got value 5"),
    ({"filter": "name = 5"}, "Expected a quoted string value for attributes. Got value 5"),
    ({"filter": "name = a"}, "Parameter value is either not quoted or unidentified quote types"),
    ({"filter": "creation_time > '5'"}, "Expected numeric value type for numeric attribute: creation_time."),
    ({"filter": "name IN ('a')"}, "Only the 'experiment_id' attribute supports comparison with a list"),
    ({"filter": "name = 'a'; name = 'b'"}, "Search filter contained multiple expression"),
    ({"filter": "name"}, "Invalid clause(s) in filter string: "),
    ({"order_by": ["tags.x"]}, "Invalid order_by entity: tag"),
    ({"order_by": ["colour"]}, "Invalid attribute key 'colour' specified"),
    ({"order_by": ["name UP"]}, "Invalid ordering key in order_by clause 'name UP'."),
    ({"order_by": ["name", "name DESC"]}, "`order_by` contains duplicate fields: "),
    ({"page_token": "x"}, "Invalid page token"),
    ({"max_results": 0}, "'max_results'"),
    ({"max_results": 50_001}, "'max_results'"),
]


def test_wrong_requests(rest: Rest) -> None:
    for fields, message in REFUSED:
        refused = rest.refused(PATH, **{"max_results": 10, **fields})
        assert refused[:2] == (400, "INVALID_PARAMETER_VALUE"), fields
        assert message in refused[2], fields
    assert "'max_results'" in rest.refused(PATH)[2]
