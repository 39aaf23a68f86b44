"""Searches for runs over HTTP: every rule of MLflow's filters and orders, and what ours take beyond it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pytest

from rekam.client import Client
from rekam.data import Dataset, DatasetInput
from tests.support.mlflow_rest import Rest

PATH = "runs/search"
TABLE_TAG = '[{"path": "table.json", "type": "table"}]'


def run(
    client: Client,
    name: str,
    start: int,
    *,
    experiment_id: str = "0",
    params: Mapping[str, str] | None = None,
    tags: Mapping[str, str] | None = None,
    metrics: Mapping[str, float] | None = None,
    datasets: Mapping[str, str] | None = None,
) -> str:
    run_id = client.create_run(experiment_id, start, tags, name).info.run_id
    client.log_params(run_id, params or {})
    for key, value in (metrics or {}).items():
        client.log_metric(run_id, key, value, timestamp=1)
    inputs = [
        DatasetInput(Dataset(named, "1"), {"mlflow.data.context": context} if context else {})
        for named, context in (datasets or {}).items()
    ]
    client.log_inputs(run_id, inputs)
    return run_id


@pytest.fixture
def runs(rest: Rest, client: Client) -> dict[str, str]:
    """Ids by name: ada, bob, cyd and dee in experiment 0; del deleted there; eve in another."""
    found = {
        "ada": run(
            client,
            "ada",
            1_000,
            params={"lr": "0.1", "opt": "adam", "a b": "x", "a.b.c": "dots", "select": "keyword"},
            tags={"team": "Vision", "note": "it's", "mlflow.loggedArtifacts": TABLE_TAG},
            metrics={"loss": 0.5, "val loss": 1.0, "val/acc": 0.9, "5": 5.0},
            datasets={"train": "training", "Test": "eval"},
        ),
        "bob": run(
            client,
            "bob",
            3_000,
            params={"lr": "0.01", "opt": "Adam"},
            tags={"team": "vision", "empty": ""},
            metrics={"loss": math.nan, "inf": math.inf},
            datasets={"train": ""},
        ),
        "cyd": run(client, "cyd", 2_000, params={"lr": "0.1"}, metrics={"loss": -1.0}),
        "dee": run(client, "dee", 2_000),
        "del": run(client, "del", 1, metrics={"loss": 0.0}),
        "eve": run(client, "eve", 1, experiment_id=client.create_experiment("other")),
    }
    # The latest value counts: that of the greatest step, not the last to arrive.
    client.log_metric(found["ada"], "loss", 0.25, timestamp=1, step=7)
    client.log_metric(found["ada"], "loss", 9.0, timestamp=9, step=3)
    client.set_terminated(found["ada"], "FINISHED", 5_000)
    client.set_terminated(found["cyd"], "FAILED", 4_000)
    client.delete_run(found["del"])
    return found


def names(rest: Rest, filter: str = "", **fields: Any) -> list[str]:
    found = rest.tell(PATH, **{"experiment_ids": ["0"], "filter": filter, **fields})
    return [each["info"]["run_name"] for each in found.get("runs", [])]


ALL = ["ada", "bob", "cyd", "dee"]
# By name; {ada} is the id of ada.
FILTERS: list[tuple[str, list[str]]] = [
    ("", ALL),
    ("  \n ", ALL),
    # Attributes under every prefix and name.
    *(
        (f"{prefix}status = 'FINISHED'", ["ada"])
        for prefix in ("", "attribute.", "attributes.", "attr.", "run.", "`attr`.")
    ),
    ("status != 'RUNNING'", ["ada", "cyd"]),
    ("status = 'finished'", []),
    ("status LIKE 'F%'", ["ada", "cyd"]),
    ("run_name = 'ada'", ["ada"]),
    *((f"{name} = 'ada'", ["ada"]) for name in ("`run name`", '"Run name"', "attr.`Run Name`")),
    ("run_id = '{ada}'", ["ada"]),
    ("attributes.run_id IN ('{ada}', '{bob}', '{del}')", ["ada", "bob"]),
    ('run_id IN ("{ada}")', ["ada"]),
    ("run_id not in ('{ada}')", ["bob", "cyd", "dee"]),
    ("run_id IN ('ABC', 'not an id')", []),
    ("run_id LIKE '{ada}'", ["ada"]),
    ("user_id != 'nobody'", ALL),
    ("artifact_uri LIKE '%{ada}/artifacts'", ["ada"]),
    ("start_time = 2000", ["cyd", "dee"]),
    ("created > 2000", ["bob"]),
    ("Created <= 1000.5", ["ada"]),
    ("start_time >= 2e3 AND end_time < 5000", ["cyd"]),
    # What is missing never matches, not even !=.
    ("end_time != 1", ["ada", "cyd"]),
    ("params.opt != 'sgd'", ["ada", "bob"]),
    ("tags.nothing != 'a'", []),
    ("metrics.nothing != 1", []),
    # Metrics by their latest value; NaN only differs.
    *((f"{prefix}.loss = 0.25", ["ada"]) for prefix in ("metric", "metrics", "`metrics`")),
    ("metrics.loss = 0.5", []),
    ("metrics.loss = 0", []),
    ("metrics.loss > -1", ["ada"]),
    ("metrics.loss != 0", ["ada", "bob", "cyd"]),
    ("metrics.loss >= -1.0", ["ada", "cyd"]),
    ("metrics.loss < .3 and metrics.loss != 0", ["ada", "cyd"]),
    ("metrics.inf > 1.7e308", ["bob"]),
    ("metrics.inf = 1e999", ["bob"]),
    # Keys in quotes: only the first dot separates.
    ("metrics.`val loss` = 1", ["ada"]),
    ('metrics."val loss" = 1', ["ada"]),
    ("metrics.`val/acc` > 0", ["ada"]),
    ("metrics.`5` = 5", ["ada"]),
    ("params.a.b.c = 'dots'", ["ada"]),
    ('params."a.b.c" = "dots"', ["ada"]),
    ("params.select = 'keyword'", ["ada"]),
    # Params and tags, in either quotes, by case.
    *((f"{prefix}.lr = '0.1'", ["ada", "cyd"]) for prefix in ("param", "params", "parameter", "parameters")),
    ("params.lr = '0.10'", []),
    ('params.opt = "adam"', ["ada"]),
    ("params.opt ILIKE 'ADAM'", ["ada", "bob"]),
    ("params.opt LIKE 'ada_'", ["ada"]),
    ("tag.team = 'Vision' AND tags.team LIKE '%ision'", ["ada"]),
    ("tags.team ilike '%VIS%'", ["ada", "bob"]),
    ('tags.note = "it\'s"', ["ada"]),
    ("tags.note = 'it''s'", []),
    ("tags.empty = ''", ["bob"]),
    ("tags.empty LIKE '%'", ["bob"]),
    ("tags.mlflow.runName = 'bob'", ["bob"]),
    # As clients look for tables that a run logged: quotes within quotes.
    (
        'tags.mlflow.loggedArtifacts LIKE \'%"path"%:%"table.json",%"type"%:%"table"%\' '
        "and attributes.run_id IN ('{ada}')",
        ["ada"],
    ),
    ("params.opt IS NULL", ["cyd", "dee"]),
    ("params.opt IS NOT NULL", ["ada", "bob"]),
    ("tags.team is null and params.lr is not null", ["cyd"]),
    # Datasets: each condition may be met by another.
    ("dataset.name = 'train'", ["ada", "bob"]),
    ("datasets.name = 'train' AND datasets.name = 'Test'", ["ada"]),
    ("datasets.name IN ('Test', 'x')", ["ada"]),
    ("dataset.digest LIKE '1'", ["ada", "bob"]),
    ("dataset.context = 'training'", ["ada"]),
    ("datasets.context != 'training'", ["ada"]),
    ("datasets.context ILIKE 'EV%'", ["ada"]),
    # AND in any case, at the very end, too; no spaces where none are needed.
    ("params.lr='0.1'AND metrics.loss<0", ["cyd"]),
    ("params.lr = '0.1' aNd metrics.loss < 0 AND ", ["cyd"]),
    # Beyond MLflow.
    ("run_name = 'ada' OR run_name = 'bob'", ["ada", "bob"]),
    ("NOT run_name = 'ada'", ["bob", "cyd", "dee"]),
    ("(run_name = 'ada' OR metrics.inf > 0) AND NOT (tags.team = 'Vision')", ["bob"]),
    ("run_name NOT LIKE '%a%'", ["bob", "cyd", "dee"]),
    ("params.a-b = 'x' OR metrics.val/acc > 0", ["ada"]),
]


def test_filters(rest: Rest, runs: dict[str, str]) -> None:
    for text, found in FILTERS:
        for name, run_id in runs.items():
            text = text.replace(f"{{{name}}}", run_id)
        assert sorted(names(rest, text)) == found, text


def test_scopes(rest: Rest, runs: dict[str, str]) -> None:
    other = rest.ask("experiments/get-by-name", experiment_name="other")["experiment"]["experiment_id"]
    assert names(rest, experiment_ids=[]) == []
    assert rest.tell(PATH) == {}
    assert names(rest, experiment_ids=[other]) == ["eve"]
    assert sorted(names(rest, experiment_ids=["0", other, "99"])) == [*ALL, "eve"]
    assert names(rest, run_view_type="DELETED_ONLY") == ["del"]
    assert sorted(names(rest, run_view_type="ALL")) == [*ALL[:3], "dee", "del"]
    status, code, message = rest.refused(PATH, experiment_ids=["0", "abc"])
    assert (status, code) == (400, "INVALID_PARAMETER_VALUE")
    assert message == "Invalid experiment ID 'abc'. Experiment ID must be a valid integer."


def test_answers_are_whole(rest: Rest, client: Client, runs: dict[str, str]) -> None:
    """With inputs and outputs, but without the models that are inputs."""
    client.log_inputs(runs["ada"], model_ids=["m-1"])
    rest.tell("runs/outputs", run_id=runs["ada"], models=[{"model_id": "m-2", "step": 3}])
    (found,) = rest.tell(PATH, experiment_ids=["0"], filter="run_name = 'ada'")["runs"]
    got = rest.ask("runs/get", run_id=runs["ada"])["run"]
    assert got["inputs"].pop("model_inputs") == [{"model_id": "m-1"}]
    assert found == got
    assert found["outputs"] == {"model_outputs": [{"model_id": "m-2", "step": 3}]}
    assert [each["dataset"]["name"] for each in found["inputs"]["dataset_inputs"]] == ["Test", "train"]
    (bare,) = rest.tell(PATH, experiment_ids=["0"], filter="run_name = 'dee'")["runs"]
    assert (bare["inputs"], bare["outputs"]) == ({}, {})


# With cyd and dee, which are equal in most, in the order of their ids.
ORDERS: list[tuple[list[str], str]] = [
    ([], "bob tie ada"),
    (["start_time"], "ada tie bob"),
    (["attributes.start_time ASC"], "ada tie bob"),
    (["Created DESC"], "bob tie ada"),
    (["run_name"], "ada bob cyd dee"),
    (["attribute.run_name desc"], "dee cyd bob ada"),
    # Values, then NaN, then missing, in both directions.
    (["metrics.loss"], "cyd ada bob dee"),
    (["metrics.loss DESC"], "ada cyd bob dee"),
    (["metrics.`val loss`"], "ada bob tie"),
    (["metrics.inf DESC"], "bob tie ada"),
    (["metrics.nothing"], "bob tie ada"),
    # Params and tags as text, byte by byte.
    (["params.lr"], "bob cyd ada dee"),
    (["params.opt"], "bob ada tie"),
    (["params.opt DESC"], "ada bob tie"),
    (["tags.`team`"], "ada bob tie"),
    (["status"], "cyd ada bob dee"),
    (["end_time"], "cyd ada bob dee"),
    (["end_time DESC"], "ada cyd bob dee"),
    (["params.lr DESC", "metrics.loss DESC"], "ada cyd bob dee"),
    (["user_id", "metrics.loss"], "cyd ada bob dee"),
]


def test_orders(rest: Rest, runs: dict[str, str]) -> None:
    tie = " ".join(sorted(["cyd", "dee"], key=runs.__getitem__))
    for order, found in ORDERS:
        wanted = found.replace("tie", tie).split()
        assert names(rest, order_by=order) == wanted, order
        for size in (1, 2, 3, 4):
            assert paged(rest, order, size) == wanted, (order, size)
    assert names(rest, order_by=["run_id"]) == sorted(ALL, key=runs.__getitem__)


def paged(rest: Rest, order: list[str], size: int) -> list[str]:
    found: list[str] = []
    token = ""
    while True:
        page = rest.tell(PATH, experiment_ids=["0"], order_by=order, max_results=size, page_token=token)
        found += [each["info"]["run_name"] for each in page["runs"]]
        # Absent on the last page, also when that is exactly full.
        token = page.get("next_page_token", "")
        assert bool(token) == (len(found) < len(ALL))
        if not token:
            return found


REFUSED: list[tuple[str, str]] = [
    ("colour = 'a'", "Invalid attribute key 'colour' specified. Valid keys are "),
    ("lifecycle_stage = 'active'", "Invalid attribute key 'lifecycle_stage' specified"),
    ("experiment_id = '0'", "Invalid attribute key 'experiment_id' specified"),
    ("colour.x = 'a'", "Invalid entity type 'colour'. Valid values are ["),
    ("Metrics.x = 1", "Invalid entity type 'Metrics'. Valid values are ["),
    ("dataset.source = 'a'", "Invalid dataset key 'source' specified. Valid keys are "),
    ("metrics.x == 1", "Invalid comparator '==' not one of "),
    ("metrics.x LIKE 1", "Invalid comparator 'LIKE' not one of "),
    ("tags.x > 'a'", "Invalid comparator '>' not one of "),
    ("params.x >= 'a'", "Invalid comparator '>=' not one of "),
    ("status < 'a'", "Invalid comparator '<' not one of "),
    ("metrics.x IS NULL", "Invalid comparator 'IS NULL' not one of "),
    ("metrics.x = '1'", "Expected numeric value type for metric. Found '1'"),
    ("metrics.x = one", "Expected numeric value type for metric. Found one"),
    ("start_time > '1'", "Expected numeric value type for numeric attribute: start_time. Found '1'"),
    ("tags.x = 5", "Expected a quoted string value for tag (e.g. 'my-value'). Got value 5"),
    ("params.x = 5", "Expected a quoted string value for parameter (e.g. 'my-value'). Got value 5"),
    ("status = 5", "Expected a quoted string value for attributes. Got value 5"),
    ("dataset.name = 5", "Expected a quoted string value for dataset attributes. Got value 5"),
    ("tags.x IN ('a')", "Expected a quoted string value for tag (e.g. 'my-value'). Got value ("),
    (
        "params.x = word",
        "Parameter value is either not quoted or unidentified quote types used for string value word. "
        "Use either single or double quotes.",
    ),
    (
        "status IN ('a')",
        "Only the 'run_id' attribute supports comparison with a list of quoted string values.",
    ),
    (
        "run_id IN ()",
        "While parsing a list in the query, expected a non-empty list of string values, but got empty list",
    ),
    ("run_id IN 'a'", "expected a non-empty list of string values, but got ill-formed list"),
    ("run_id IN ('a', 1)", "but got different type in list"),
    ("metrics.x = 1; metrics.y = 2", "Search filter contained multiple expression"),
    ("metrics.x = 1;", "Invalid clause(s) in filter string: "),
    ("metrics.x = 1, metrics.y = 2", "Invalid clause(s) in filter string: "),
    ("metrics.x BETWEEN 1 AND 2", "Invalid clause(s) in filter string: "),
    ("metrics.x = +1", "Invalid clause(s) in filter string: "),
    ("metrics.x", "Invalid clause(s) in filter string: "),
    ("tags.x = 'a", "Invalid clause(s) in filter string: "),
    ("'a' = tags.x", "Invalid clause(s) in filter string: "),
    ("metrics.x = 1 OR", "Invalid clause(s) in filter string: "),
    ("(metrics.x = 1", "Invalid clause(s) in filter string: "),
    ("tags.x = '\0'", "Invalid clause(s) in filter string: "),
]


def test_wrong_filters(rest: Rest) -> None:
    for text, message in REFUSED:
        refused = rest.refused(PATH, experiment_ids=["0"], filter=text)
        assert refused[:2] == (400, "INVALID_PARAMETER_VALUE"), text
        assert message in refused[2], text
        # MLflow's own text is the first that is said; then the place.
        assert "at character " in refused[2]


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"order_by": ["start_time UP"]}, "Invalid ordering key in order_by clause 'start_time UP'."),
    ({"order_by": ["start_time ASC, run_id"]}, "Invalid order_by clause 'start_time ASC, run_id'."),
    ({"order_by": [""]}, "Invalid order_by clause ''. Could not be parsed."),
    ({"order_by": ["colour"]}, "Invalid attribute key 'colour' specified. Valid keys are "),
    ({"order_by": ["colour.x"]}, "Invalid entity type 'colour'."),
    ({"order_by": ["dataset.name"]}, "Invalid order_by entity"),
    ({"order_by": ["metrics.x", "metric.x DESC"]}, "`order_by` contains duplicate fields: metric.x"),
    ({"order_by": "metrics.x"}, "for parameter 'order_by' supplied:"),
    ({"max_results": 0}, "'max_results'"),
    ({"max_results": -1}, "'max_results'"),
    ({"max_results": 50_001}, "'max_results'"),
    ({"max_results": "x"}, "'max_results'"),
    ({"page_token": "x"}, "Invalid page token"),
    ({"page_token": "bm90IG9uZQ=="}, "Invalid page token"),
    ({"run_view_type": "NONE"}, "'run_view_type'"),
    ({"filter": 5}, "'filter'"),
    ({"experiment_ids": [0]}, "experiment_ids"),
]


def test_wrong_requests(rest: Rest) -> None:
    for fields, message in WRONG:
        refused = rest.refused(PATH, **{"experiment_ids": ["0"], **fields})
        assert refused[:2] == (400, "INVALID_PARAMETER_VALUE"), fields
        assert message in refused[2], fields


def test_a_token_belongs_to_its_search(rest: Rest, runs: dict[str, str]) -> None:
    token = rest.tell(PATH, experiment_ids=["0"], max_results=1)["next_page_token"]
    # The size of a page may change.
    assert len(names(rest, page_token=token, max_results=2)) == 2
    for other in (
        {"filter": "run_name = 'ada'"},
        {"order_by": ["run_name"]},
        {"run_view_type": "ALL"},
        {"experiment_ids": ["0", "1"]},
    ):
        refused = rest.refused(PATH, **{"experiment_ids": ["0"], "page_token": token, **other})
        assert refused[:2] == (400, "INVALID_PARAMETER_VALUE")
        assert "Invalid page token" in refused[2]
