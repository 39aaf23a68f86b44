"""Searches for logged models over HTTP: every rule of MLflow's filters, and what ours take beyond it."""

from __future__ import annotations

import math
from typing import Any

import pytest

from rekam.client import Client
from rekam.data import Dataset
from tests.support.mlflow_rest import Rest

PATH = "logged-models/search"
TRAIN, TEST = Dataset("train", "1"), Dataset("test", "2")


@pytest.fixture
def models(rest: Rest, client: Client) -> list[str]:
    """ada, bob and cyd in experiment 0, oldest first; dan deleted; eve in another experiment."""
    ada = client.create_logged_model(
        "0",
        "ada",
        source_run_id="a" * 32,
        model_type="Agent",
        params={"lr": "0.01", "depth": "5", "opt": "adam", "a b": "x"},
        tags={"team": "Vision", "note": 'it\'s "so"'},
    ).model_id
    client.log_model_metrics(ada, {"loss": 0.5, "acc": 0.9}, timestamp=1, dataset=TRAIN)
    client.log_model_metrics(ada, {"loss": 2.0}, timestamp=2, dataset=TEST)
    client.finalize_logged_model(ada)
    bob = client.create_logged_model("0", "bob", params={"lr": "0.1"}, tags={"team": "vision"}).model_id
    client.log_model_metrics(bob, {"loss": math.nan, "inf": math.inf}, timestamp=1)
    client.finalize_logged_model(bob, "UPLOAD_FAILED")
    cyd = client.create_logged_model("0", "cyd").model_id
    client.delete_logged_model(client.create_logged_model("0", "dan").model_id)
    client.create_logged_model(client.create_experiment("other"), "eve")
    return [ada, bob, cyd]


def names(rest: Rest, filter: str = "", **fields: Any) -> list[str]:
    found = rest.tell(PATH, experiment_ids=["0"], filter=filter, **fields)
    return [model["info"]["name"] for model in found.get("models", [])]


# By name; `{0}` is the id of ada.
FILTERS: list[tuple[str, list[str]]] = [
    ("", ["ada", "bob", "cyd"]),
    # Attributes, with and without their prefix, in every spelling.
    ("name = 'ada'", ["ada"]),
    ("name = 'nobody'", []),
    ('name = "ada"', ["ada"]),
    ("attributes.name != 'ada'", ["bob", "cyd"]),
    ("name LIKE 'a%'", ["ada"]),
    ("name like '_o_'", ["bob"]),
    ("name LIKE 'A%'", []),
    ("name ILIKE 'A%'", ["ada"]),
    ("name IN ('ada', 'cyd', 'dan')", ["ada", "cyd"]),
    ("name not in ('ada', 'cyd')", ["bob"]),
    ("model_id = '{0}'", ["ada"]),
    ("model_type = 'Agent'", ["ada"]),
    # What is missing never matches, not even !=.
    ("model_type != 'Other'", ["ada"]),
    (f"source_run_id = '{'a' * 32}'", ["ada"]),
    ("artifact_location LIKE '%{0}/artifacts'", ["ada"]),
    ("status = 'READY'", ["ada"]),
    ("status != 'READY'", ["bob", "cyd"]),
    ("lifecycle_stage = 'active'", ["ada", "bob", "cyd"]),
    ("creation_timestamp > 0 AND creation_time >= 1", ["ada", "bob", "cyd"]),
    ("last_updated_timestamp < 1", []),
    # Any logged value of a metric meets a condition, each condition another.
    ("metrics.loss = 0.5", ["ada"]),
    ("metrics.loss > 1", ["ada"]),
    ("metrics.loss > 1 AND metrics.loss < 1", ["ada"]),
    ("metrics.loss = 0", []),
    ("metrics.loss != 0 AND metrics.inf > 1e300", ["bob"]),
    ("metrics.unknown != 1", []),
    # Params and tags; text needs no quotes.
    ("params.lr = '0.01'", ["ada"]),
    ("params.lr = 0.01", ["ada"]),
    ("params.lr = 0.010", []),
    ("params.lr != 0.01", ["bob"]),
    ("params.opt = adam", ["ada"]),
    ("params.lr LIKE '0.%' AND params.depth = 5", ["ada"]),
    ("params.lr IN ('0.1', '7')", ["bob"]),
    ("params.lr NOT IN ('0.1')", ["ada"]),
    ("params.`a b` = 'x'", ["ada"]),
    ("params.\"a b\" = 'x'", ["ada"]),
    ("tags.team = 'Vision'", ["ada"]),
    ("tags.team ILIKE 'vis%'", ["ada", "bob"]),
    ("tags.note LIKE '%\"so\"%'", ["ada"]),
    ("name = 'ada' AND params.lr = 0.01 AND", ["ada"]),
    # Beyond MLflow.
    ("name = 'ada' OR (metrics.inf > 0 AND NOT params.lr = 1)", ["ada", "bob"]),
    ("tags.team IS NULL", ["cyd"]),
    ("params.lr IS NOT NULL", ["ada", "bob"]),
]


def test_filters(rest: Rest, models: list[str]) -> None:
    for text, found in FILTERS:
        assert sorted(names(rest, text.replace("{0}", models[0]))) == found, text


DATASETS: list[tuple[list[dict[str, str]], str, list[str]]] = [
    ([{"dataset_name": "train", "dataset_digest": "1"}], "metrics.loss < 1", ["ada"]),
    ([{"dataset_name": "train", "dataset_digest": "1"}], "metrics.loss > 1", []),
    ([{"dataset_name": "test"}], "metrics.loss > 1", ["ada"]),
    (
        [{"dataset_name": "nowhere"}, {"dataset_name": "test", "dataset_digest": "2"}],
        "metrics.loss > 1",
        ["ada"],
    ),
    # Without a condition on a metric: has any metric on them.
    ([{"dataset_name": "train"}], "", ["ada"]),
    ([{"dataset_name": "train", "dataset_digest": "2"}], "", []),
    ([{"dataset_name": "train"}], "name = 'bob'", []),
]


def test_datasets_restrict_which_values_count(rest: Rest, models: list[str]) -> None:
    for datasets, text, found in DATASETS:
        assert names(rest, text, datasets=datasets) == found, (datasets, text)


REFUSED: list[tuple[str, str]] = [
    ("oops = 'a'", "Invalid attribute key 'oops' specified. Valid keys are "),
    ("oops.x = 'a'", "Invalid entity type 'oops'. Valid values are "),
    ("name > 'a'", "Invalid comparator '>' not one of "),
    ("params.x < '1'", "Invalid comparator '<' not one of "),
    ("metrics.x LIKE 5", "Invalid comparator 'LIKE' not one of "),
    ("metrics.x = '0.5'", "Expected numeric value type for metric. Found '0.5'"),
    (
        "creation_time > '5'",
        "Expected numeric value type for numeric attribute: creation_timestamp. Found '5'",
    ),
    (
        "name IN ()",
        "While parsing a list in the query, expected a non-empty list of string values, but got empty",
    ),
    ("name IN (1)", "but got different type in list"),
    ("name = 'a'; name = 'b'", "Search filter contained multiple expression"),
    ("name = 'a';", "Invalid clause(s) in filter string: "),
    ("name = 'a' name = 'b'", "Invalid clause(s) in filter string: "),
    ("name", "Invalid clause(s) in filter string: "),
    ("name = 'a", "Invalid clause(s) in filter string: "),
]


def test_wrong_filters(rest: Rest) -> None:
    for text, message in REFUSED:
        refused = rest.refused(PATH, experiment_ids=["0"], filter=text)
        assert refused[:2] == (400, "INVALID_PARAMETER_VALUE"), text
        assert message in refused[2], text
