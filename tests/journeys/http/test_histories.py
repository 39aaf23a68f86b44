"""metrics/*: whole histories, pages, several runs, samples."""

from __future__ import annotations

from itertools import chain
from typing import Any

import pytest

from tests.support.mlflow_rest import Rest

BULK = "/ajax-api/2.0/mlflow/metrics/get-history-bulk"


@pytest.fixture
def run_id(rest: Rest) -> str:
    return new_run(rest)


def new_run(rest: Rest) -> str:
    id: str = rest.tell("runs/create", experiment_id="0")["run"]["info"]["run_id"]
    return id


def log(rest: Rest, run_id: str, steps: range, key: str = "loss") -> list[dict[str, Any]]:
    sent = [{"key": key, "value": step / 2, "timestamp": 1_000 + step, "step": step} for step in steps]
    for first in range(0, len(sent), 1_000):
        rest.tell("runs/log-batch", run_id=run_id, metrics=sent[first : first + 1_000])
    return sent


def pages(rest: Rest, **asked: Any) -> list[list[dict[str, Any]]]:
    found = []
    while True:
        answer = rest.ask("metrics/get-history", **asked)
        found.append(answer["metrics"])
        if "next_page_token" not in answer:
            return found
        asked["page_token"] = answer["next_page_token"]


def test_pages_are_the_history_cut_and_equal_values_come_once(rest: Rest, run_id: str) -> None:
    sent = log(rest, run_id, range(1_000))
    log(rest, run_id, range(0, 1_000, 3))
    assert rest.ask("metrics/get-history", run_id=run_id, metric_key="loss") == {"metrics": sent}
    for size, sizes in ((300, [300, 300, 300, 100]), (500, [500, 500]), (5_000, [1_000])):
        found = pages(rest, run_id=run_id, metric_key="loss", max_results=size)
        assert [len(page) for page in found] == sizes
        assert [*chain.from_iterable(found)] == sent


def test_a_long_history_comes_whole(rest: Rest, run_id: str) -> None:
    sent = log(rest, run_id, range(100_000))
    assert rest.ask("metrics/get-history", run_id=run_id, metric_key="loss")["metrics"] == sent
    found = pages(rest, run_id=run_id, metric_key="loss", max_results=90_000)
    assert [len(page) for page in found] == [90_000, 10_000] and [*chain.from_iterable(found)] == sent


def test_of_what_is_unknown_there_is_no_history(rest: Rest, run_id: str) -> None:
    for run, key in ((run_id, "loss"), (run_id, "/"), ("f" * 32, "loss"), ("nothing", "loss")):
        assert rest.ask("metrics/get-history", run_id=run, metric_key=key) == {}
        assert rest.get(BULK, params={"run_id": run, "metric_key": key}).json() == {"metrics": []}
        assert rest.ask("metrics/get-history-bulk-interval", run_ids=run, metric_key=key) == {}


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({}, "Missing value for required parameter 'run_id'"),
        ({"run_id": "f" * 32}, "Missing value for required parameter 'metric_key'"),
        (
            {"run_id": "f" * 32, "metric_key": "a", "max_results": 0},
            "Invalid value 0 for parameter 'max_results'",
        ),
        ({"run_id": "f" * 32, "metric_key": "a", "max_results": "x"}, "for parameter 'max_results'"),
    ],
)
def test_what_cannot_be_answered_is_refused(rest: Rest, asked: dict[str, Any], message: str) -> None:
    status, code, said = rest.refused("metrics/get-history", "GET", **asked)
    assert (status, code) == (400, "INVALID_PARAMETER_VALUE")
    assert message in said


def test_a_page_token_is_good_for_its_history_alone(rest: Rest, run_id: str) -> None:
    log(rest, run_id, range(10))
    token = rest.ask("metrics/get-history", run_id=run_id, metric_key="loss", max_results=5)[
        "next_page_token"
    ]
    for key, sent in (("loss", "x"), ("other", token)):
        refused = rest.refused("metrics/get-history", "GET", run_id=run_id, metric_key=key, page_token=sent)
        assert refused[2].startswith("Invalid page token, ")


def test_several_runs_come_in_the_order_of_their_ids(rest: Rest) -> None:
    runs = sorted(new_run(rest) for _ in range(3))
    sent = {run: log(rest, run, range(100)) for run in runs}
    params: list[Any] = [*(("run_id", run) for run in (*reversed(runs), "f" * 32)), ("metric_key", "loss")]
    found = rest.get(BULK, params=params).json()["metrics"]
    assert found == [{**value, "run_id": run} for run in runs for value in sent[run]]
    assert list(found[0]) == sorted(found[0])
    few = rest.get(BULK, params=[*params, ("max_results", "150")]).json()["metrics"]
    assert few == found[:150]
    assert rest.get(BULK.replace("ajax-api", "api"), params=params).status_code == 404


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ([("metric_key", "a")], "must specify at least one run_id"),
        ([("run_id", "a")], "must specify a metric_key"),
        ([("run_id", str(n)) for n in range(101)], "cannot specify more than 100 run_ids. Received 101"),
    ],
)
def test_bulk_refuses(rest: Rest, asked: list[Any], message: str) -> None:
    answer = rest.get(BULK, params=asked)
    assert answer.status_code == 400 and message in answer.json()["message"]


def interval(rest: Rest, runs: list[str], **asked: Any) -> dict[str, list[int]]:
    """Steps by run."""
    asked = {"run_ids": runs, "metric_key": "loss", **asked}
    found: dict[str, list[int]] = {}
    for value in rest.ask("metrics/get-history-bulk-interval", **asked)["metrics"]:
        found.setdefault(value["run_id"], []).append(value["step"])
    return found


def test_steps_are_sampled_evenly_with_the_ends_of_every_run(rest: Rest) -> None:
    one, other = new_run(rest), new_run(rest)
    log(rest, one, range(100))
    log(rest, other, range(35, 63))
    assert interval(rest, [other, one]) == {other: list(range(35, 63)), one: list(range(100))}
    tens = [0, 10, 20, 30, 40, 50, 60, 70, 80, 90]
    found = interval(rest, [one, other], max_results=10)
    assert found == {one: sorted({*tens, 35, 62, 99}), other: [35, 40, 50, 60, 62]}
    found = interval(rest, [one, other], max_results=5, start_step=50, end_step=59)
    assert found == {one: [50, 52, 54, 56, 58, 59], other: [50, 52, 54, 56, 58, 59]}


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"run_ids": []}, "at least one run_id"),
        ({"run_ids": [str(n) for n in range(101)]}, "at most 100 run_ids. Received 101"),
        ({"start_step": 1}, "both must be specified"),
        ({"start_step": 2, "end_step": 1}, "end_step must be greater than start_step"),
        ({"max_results": 0}, "Max_results must be between 1 and 2500."),
        ({"max_results": 2_501}, "Max_results must be between 1 and 2500."),
    ],
)
def test_an_interval_must_be_one(rest: Rest, asked: dict[str, Any], message: str) -> None:
    asked = {"run_ids": ["a"], "metric_key": "loss", **asked}
    status, _, said = rest.refused("metrics/get-history-bulk-interval", "GET", **asked)
    assert status == 400 and message in said
