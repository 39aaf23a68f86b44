"""Searches for registered models and versions over HTTP: MLflow's filters, orders and pages."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.mlflow_rest import Rest

PROMPT = "mlflow.prompt.is_prompt"
# What MLflow's client adds to every search for models.
NO_PROMPT = f"tag.`{PROMPT}` != 'true'"


@pytest.fixture(scope="module")
def door(door: Rest) -> Rest:
    """With models and versions, created in this order; Fraud/1 was moved last."""
    for name, tags in (
        ("Fraud", {"team": "Risk", "note": '50% "off"'}),
        ("fraud", {"team": "risk"}),
        ("Ads ☃", {}),
        ("Greeting", {PROMPT: "true"}),
    ):
        door.tell("registered-models/create", name=name, tags=pairs(tags))
    for name, run, tags in (
        ("fraud", "Ab" * 16, {"fold": "1"}),
        ("Fraud", "b" * 32, {"fold": "1"}),
        ("Fraud", "c" * 32, {"fold": "2"}),
        ("Fraud", "", {}),
        ("Greeting", "", {PROMPT: "true", "mlflow.prompt.text": "Hello {{name}}"}),
    ):
        source = f"s3://bucket/{name.lower()}/{run or 'none'}"
        door.tell("model-versions/create", name=name, source=source, run_id=run, tags=pairs(tags))
    door.tell("model-versions/create", name="Ads ☃", source="s3://bucket/gone")
    door.tell("model-versions/delete", "DELETE", name="Ads ☃", version="1")
    door.tell("model-versions/transition-stage", name="Fraud", version="1", stage="Production")
    return door


def pairs(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in tags.items()]


def models(door: Rest, filter: str = "", **query: Any) -> list[str]:
    found = door.ask("registered-models/search", filter=filter, **query)
    return [each["name"] for each in found.get("registered_models", [])]


def versions(door: Rest, filter: str = "", **query: Any) -> list[str]:
    found = door.ask("model-versions/search", filter=filter, **query)
    return [f"{each['name']}/{each['version']}" for each in found.get("model_versions", [])]


ALL = ["Ads ☃", "Fraud", "fraud"]
MODELS: list[tuple[str, list[str]]] = [
    ("", ALL),
    (NO_PROMPT, ALL),
    ("name = 'Fraud'", ["Fraud"]),
    ('name != "Fraud"', ["Ads ☃", "fraud"]),
    ("attribute.name LIKE 'F%'", ["Fraud"]),
    ("name ILIKE 'F%'", ["Fraud", "fraud"]),
    (f"name ILIKE '%r%' AND {NO_PROMPT}", ["Fraud", "fraud"]),
    ("name IN ('Fraud', 'Ads ☃', 'None')", ["Ads ☃", "Fraud"]),
    ("name NOT IN ('Fraud')", ["Ads ☃", "fraud"]),
    ("tags.team = 'risk'", ["fraud"]),
    # What does not have the tag is not another value of it.
    ("tag.team != 'risk'", ["Fraud"]),
    ("tags.`team` ILIKE 'RISK' and tags.note LIKE '%\"off\"'", ["Fraud"]),
    ("tags.team IS NULL", ["Ads ☃"]),
    (f"tags.`{PROMPT}` = 'true'", ["Greeting"]),
    (f"tags.`{PROMPT}` != 'false'", ["Greeting"]),
    (f"tags.`{PROMPT}` = 'false' AND name ILIKE 'f%'", ["Fraud", "fraud"]),
    (f"name = 'Greeting' AND tags.`{PROMPT}` = 'true'", ["Greeting"]),
    ("name = 'Greeting'", []),
]


@pytest.mark.parametrize(("filter", "found"), MODELS)
def test_filters_of_models(door: Rest, filter: str, found: list[str]) -> None:
    assert models(door, filter) == found


NEWEST = ["Fraud/1", "Fraud/3", "Fraud/2", "fraud/1"]
VERSIONS: list[tuple[str, list[str]]] = [
    ("", NEWEST),
    ("name = 'Fraud'", ["Fraud/1", "Fraud/3", "Fraud/2"]),
    ("name ILIKE 'FRAUD' AND version_number = 1", ["Fraud/1", "fraud/1"]),
    ("version_number > '1'", ["Fraud/3", "Fraud/2"]),
    ("version_number != 3 AND version_number <= 2", ["Fraud/1", "Fraud/2", "fraud/1"]),
    ("attribute.version_number >= 3", ["Fraud/3"]),
    (f"run_id = '{'b' * 32}'", ["Fraud/1"]),
    (f"run_id IN ('{'c' * 32}', '{'Ab' * 16}')", ["Fraud/2", "fraud/1"]),
    ("run_id = ''", ["Fraud/3"]),
    ("source_path LIKE 's3://bucket/fraud/%'", NEWEST),
    ("source_path = 's3://bucket/fraud/none'", ["Fraud/3"]),
    ("source_path = 's3://bucket/gone'", []),
    ("tags.fold = '1'", ["Fraud/1", "fraud/1"]),
    ("tag.fold != '1'", ["Fraud/2"]),
    ("tags.`fold` LIKE '_'", ["Fraud/1", "Fraud/2", "fraud/1"]),
    (f"tags.`{PROMPT}` = 'true'", ["Greeting/1"]),
    (f"name = 'Greeting' AND tags.`{PROMPT}` = 'true'", ["Greeting/1"]),
    ("name = 'Greeting'", []),
]


@pytest.mark.parametrize(("filter", "found"), VERSIONS)
def test_filters_of_versions(door: Rest, filter: str, found: list[str]) -> None:
    assert versions(door, filter) == found


def test_orders(door: Rest) -> None:
    assert models(door, order_by=["name DESC"]) == ALL[::-1]
    # The one whose version was moved last, then the one that had one deleted.
    for key in ("last_updated_timestamp", "timestamp"):
        assert models(door, order_by=[f"{key} DESC"]) == ["Fraud", "Ads ☃", "fraud"]
        assert models(door, order_by=[f"{key} ASC", "name"]) == ["fraud", "Ads ☃", "Fraud"]
    assert versions(door, order_by=["name"]) == ["Fraud/3", "Fraud/2", "Fraud/1", "fraud/1"]
    assert versions(door, order_by=["version_number"]) == ["Fraud/1", "fraud/1", "Fraud/2", "Fraud/3"]
    assert versions(door, order_by=["creation_timestamp ASC"]) == ["fraud/1", "Fraud/1", "Fraud/2", "Fraud/3"]
    assert versions(door, order_by=["last_updated_timestamp DESC", "name ASC"]) == NEWEST


def test_pages(door: Rest) -> None:
    for path, plural, whole in (
        ("registered-models/search", "registered_models", ALL),
        ("model-versions/search", "model_versions", [name.partition("/")[0] for name in NEWEST]),
    ):
        names: list[str] = []
        query: dict[str, Any] = {"max_results": 2, "filter": "name != 'x'"}
        while True:
            page = door.ask(path, **query)
            names += [each["name"] for each in page[plural]]
            token = page.get("next_page_token")
            if token is None:
                break
            query["page_token"] = token
            refused = door.refused(path, "GET", **{**query, "filter": ""})
            assert refused[:2] == (400, "INVALID_PARAMETER_VALUE")
            assert refused[2].startswith("Invalid page token")
        assert names == whole
        # No token where the last page is full.
        assert "next_page_token" not in door.ask(path, max_results=len(whole))


def test_a_search_says_what_a_get_says(door: Rest) -> None:
    door.tell("registered-models/alias", name="Fraud", alias="champion", version="2")
    (found,) = door.ask("model-versions/search", filter="tags.fold = '2'")["model_versions"]
    assert found == door.ask("model-versions/get", name="Fraud", version="2")["model_version"]
    assert found["aliases"] == ["champion"]
    (model,) = door.ask("registered-models/search", filter="name = 'Fraud'")["registered_models"]
    assert model == door.ask("registered-models/get", name="Fraud")["registered_model"]
    door.tell("registered-models/alias", "DELETE", name="Fraud", alias="champion")


WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("registered-models", {"filter": "version = '1'"}, "Invalid attribute key 'version' specified"),
    ("registered-models", {"filter": "name = Fraud"}, "Parameter value is either not quoted"),
    ("registered-models", {"filter": "name > 'a'"}, "Invalid comparator '>' not one of"),
    ("registered-models", {"filter": "params.a = 'b'"}, "Invalid entity type 'params'"),
    ("registered-models", {"filter": "name BETWEEN 'a' AND 'b'"}, "Invalid clause(s) in filter string"),
    ("registered-models", {"order_by": ["tags.team"]}, "tag"),
    ("registered-models", {"order_by": ["name SIDEWAYS"]}, "Invalid ordering key in order_by clause"),
    ("registered-models", {"order_by": ["name", "name DESC"]}, "`order_by` contains duplicate fields"),
    ("model-versions", {"filter": "version_number = 'x'"}, "Expected numeric value type"),
    ("model-versions", {"filter": "version_number LIKE '1%'"}, "Expected numeric value type"),
    ("model-versions", {"filter": "tags.fold > '1'"}, "Invalid comparator '>' not one of"),
    (
        "model-versions",
        {"filter": "source_path IN ('a')"},
        "Only the 'name', 'run_id', 'current_stage' attribute",
    ),
    (
        "model-versions",
        {"filter": "run_id IN ()"},
        "expected a non-empty list of string values, but got empty list",
    ),
    ("model-versions", {"order_by": ["run_id"]}, "Invalid"),
]


@pytest.mark.parametrize(("noun", "query", "text"), WRONG)
def test_wrong_searches(door: Rest, noun: str, query: dict[str, Any], text: str) -> None:
    status, code, message = door.refused(f"{noun}/search", "GET", **query)
    assert (status, code) == (400, "INVALID_PARAMETER_VALUE")
    assert text in message
