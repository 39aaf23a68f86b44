"""runs/log-metric and runs/log-batch: what is stored, what is refused and how, what other clients see."""

from __future__ import annotations

from typing import Any

import pytest

import rekam
from rekam.testing import LocalStack
from tests.support.mlflow_rest import Rest

INVALID = "INVALID_PARAMETER_VALUE"
MODEL = "m-" + "0" * 32


@pytest.fixture
def run_id(rest: Rest) -> str:
    id: str = rest.tell("runs/create", experiment_id="0")["run"]["info"]["run_id"]
    return id


def metric(key: str = "loss", value: object = 1.5, timestamp: int = 1_000, step: int = 0) -> dict[str, Any]:
    return {"key": key, "value": value, "timestamp": timestamp, "step": step}


def history(rest: Rest, run_id: str, key: str = "loss") -> list[tuple[int, int, object]]:
    found = rest.ask("metrics/get-history", run_id=run_id, metric_key=key).get("metrics", [])
    assert all(value["key"] == key for value in found)
    return [(value["timestamp"], value["step"], value["value"]) for value in found]


def data(rest: Rest, run_id: str) -> dict[str, dict[str, object]]:
    found = rest.ask("runs/get", run_id=run_id)["run"]["data"]
    return {kind: {each["key"]: each["value"] for each in pairs} for kind, pairs in found.items()}


def test_values_are_read_back_in_order(rest: Rest, run_id: str) -> None:
    for value, timestamp, step in ((3.0, 2_000, 1), (2, 1_000, 5), ("1.5", "1000", "4"), (0.5, 1_000, 4)):
        rest.tell("runs/log-metric", run_id=run_id, key="loss", value=value, timestamp=timestamp, step=step)
    rest.tell("runs/log-metric", run_uuid=run_id, key="loss", value=7, timestamp=3_000)
    assert history(rest, run_id) == [
        (1_000, 4, 0.5),
        (1_000, 4, 1.5),
        (1_000, 5, 2.0),
        (2_000, 1, 3.0),
        (3_000, 0, 7.0),
    ]
    assert data(rest, run_id)["metrics"] == {"loss": 2.0}  # of the greatest step


def test_what_json_has_no_numbers_for_is_kept(rest: Rest, run_id: str) -> None:
    values = ["NaN", "Infinity", "-Infinity"]
    metrics = [metric(value=value, step=step, timestamp=step) for step, value in enumerate(values)]
    rest.tell("runs/log-batch", run_id=run_id, metrics=metrics)
    assert [value for _, _, value in history(rest, run_id)] == values


def test_equal_values_count_once_in_one_request_and_in_several(rest: Rest, run_id: str) -> None:
    metrics = [metric(step=step) for step in (1, 2, 1)] + [metric(value="NaN")] * 2
    for _ in range(3):
        rest.tell("runs/log-batch", run_id=run_id, metrics=metrics)
    rest.tell("runs/log-metric", run_id=run_id, **metric(step=2))
    assert history(rest, run_id) == [(1_000, 0, "NaN"), (1_000, 1, 1.5), (1_000, 2, 1.5)]


def test_a_batch_has_params_metrics_and_tags(rest: Rest, run_id: str) -> None:
    rest.tell(
        "runs/log-batch",
        run_id=run_id,
        metrics=[metric(f"k{key}", step * key, step, step) for step in range(100) for key in range(9)],
        params=[{"key": "p", "value": "x" * 6_001}, {"key": "empty", "value": ""}],
        tags=[{"key": "t", "value": "a"}, {"key": "t", "value": "b" * 8_001}],
    )
    found = data(rest, run_id)
    assert found["metrics"] == {f"k{key}": 99.0 * key for key in range(9)}
    assert found["params"] == {"p": "x" * 6_000, "empty": ""}
    assert found["tags"]["t"] == "b" * 8_000
    assert history(rest, run_id, "k3") == [(step, step, 3.0 * step) for step in range(100)]


def test_an_empty_batch_asks_for_the_run_alone(rest: Rest, run_id: str) -> None:
    rest.tell("runs/log-batch", run_id=run_id)
    assert rest.refused("runs/log-batch", run_id="f" * 32)[:2] == (404, "RESOURCE_DOES_NOT_EXIST")


def test_another_value_of_a_param_stops_the_batch(rest: Rest, run_id: str) -> None:
    rest.tell("runs/log-batch", run_id=run_id, params=[{"key": "p", "value": "a"}])
    rest.tell("runs/log-batch", run_id=run_id, params=[{"key": "p", "value": "a"}])
    refused = rest.refused(
        "runs/log-batch",
        run_id=run_id,
        params=[{"key": "p", "value": "b"}, {"key": "q", "value": "c"}],
        metrics=[metric()],
        tags=[{"key": "t", "value": "u"}],
    )
    conflict = [{"key": "p", "old_value": "a", "new_value": "b"}]
    assert refused == (
        400,
        INVALID,
        f"Changing param values is not allowed. Params were already logged='{conflict}' "
        f"for run ID='{run_id}'.",
    )
    found = data(rest, run_id)
    assert found["params"] == {"p": "a"} and "metrics" not in found and "t" not in found["tags"]


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ({"metrics": [metric(), {"key": "a", "value": 1}]}, "parameter 'metrics[1].timestamp'"),
        (
            {"metrics": [{"value": 1, "timestamp": 1}]},
            "Missing value for required parameter 'metrics[0].key'",
        ),
        ({"params": [{"value": "a"}]}, "Missing value for required parameter 'params[0].key'"),
        ({"tags": [{"key": "", "value": "a"}]}, "Missing value for required parameter 'tags[0].key'"),
        ({"metrics": [metric(), metric("../a")]}, "Invalid value \"../a\" for parameter 'metrics[1].name'"),
        ({"metrics": [metric(timestamp=-1)]}, "Invalid value -1 for parameter 'metrics[0].timestamp'"),
        ({"metrics": [metric(timestamp=2**60)]}, "for parameter 'metrics[0].timestamp'"),
        ({"metrics": [metric(value=True)]}, "Invalid value true for parameter 'metrics[0].value'"),
        ({"metrics": [metric(value="x")]}, "Invalid value \"x\" for parameter 'metrics[0].value'"),
        ({"metrics": {"a": 1}}, "for parameter 'metrics'"),
        ({"params": [{"key": "/p", "value": "a"}]}, "Invalid value \"/p\" for parameter 'params[0].key'"),
        ({"tags": [{"key": "a//b", "value": "a"}]}, "Invalid value \"a//b\" for parameter 'tags[0].key'"),
        (
            {"metrics": [metric(step=step) for step in range(1_001)]},
            "A batch logging request can contain at most 1000 metrics. Got 1001 metrics.",
        ),
        (
            {"params": [{"key": f"p{n}", "value": ""} for n in range(101)]},
            "A batch logging request can contain at most 100 params. Got 101 params.",
        ),
        (
            {"tags": [{"key": "t", "value": ""}] * 101},
            "A batch logging request can contain at most 100 tags. Got 101 tags.",
        ),
        (
            {
                "metrics": [metric(step=step) for step in range(950)],
                "params": [{"key": f"p{n}", "value": ""} for n in range(51)],
            },
            "A batch logging request can contain at most 1000 metrics, params, and tags. Got 1002",
        ),
        (
            {"params": [{"key": "p", "value": "a"}, {"key": "p", "value": "a"}]},
            "Duplicate parameter keys have been submitted: ['p'].",
        ),
        ({"run_id": "a b"}, "Invalid value \"a b\" for parameter 'run_id'"),
    ],
)
def test_nothing_of_a_batch_that_breaks_a_rule_is_stored(
    rest: Rest, run_id: str, batch: dict[str, Any], message: str
) -> None:
    sent = {"run_id": run_id, "tags": [{"key": "seen", "value": "yes"}], **batch}
    status, code, said = rest.refused("runs/log-batch", **sent)
    assert (status, code) == (400, INVALID)
    assert message in said
    found = data(rest, run_id)
    assert list(found) == ["tags"] and list(found["tags"]) == ["mlflow.runName"]


@pytest.mark.parametrize("field", ["key", "value", "timestamp"])
def test_a_metric_must_be_whole(rest: Rest, run_id: str, field: str) -> None:
    sent = {name: value for name, value in metric().items() if name != field}
    status, code, message = rest.refused("runs/log-metric", run_id=run_id, **sent)
    assert (status, code) == (400, INVALID)
    assert message.startswith(f"Missing value for required parameter '{field}'.")


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "1e999"])
def test_a_literal_that_is_no_json_is_refused(rest: Rest, run_id: str, literal: str) -> None:
    body = f'{{"run_id": "{run_id}", "key": "loss", "timestamp": 1, "value": {literal}}}'
    json = {"content-type": "application/json"}
    answer = rest.post("/api/2.0/mlflow/runs/log-metric", content=body, headers=json)
    assert answer.status_code == 400
    assert history(rest, run_id) == []


def test_a_run_that_is_not_there_or_deleted_takes_nothing(rest: Rest, run_id: str) -> None:
    missing = f"Run with id={'f' * 32} not found"
    assert rest.refused("runs/log-metric", run_id="f" * 32, **metric())[2] == missing
    assert rest.refused("runs/log-metric", run_id="nothing", **metric())[0] == 404
    rest.tell("runs/log-metric", run_id=run_id, **metric())
    rest.tell("runs/delete", run_id=run_id)
    deleted = f"The run {run_id} must be in the 'active' state. Current state is deleted."
    for endpoint, sent in (("runs/log-metric", metric()), ("runs/log-batch", {"metrics": [metric()]})):
        assert rest.refused(endpoint, run_id=run_id, **sent) == (400, INVALID, deleted)
    rest.tell("runs/restore", run_id=run_id)
    rest.tell("runs/log-metric", run_id=run_id, **metric())


def test_runs_of_a_deleted_experiment_take_nothing(rest: Rest) -> None:
    experiment = rest.tell("experiments/create", name="short")["experiment_id"]
    run_id = rest.tell("runs/create", experiment_id=experiment)["run"]["info"]["run_id"]
    rest.tell("runs/log-metric", run_id=run_id, **metric())
    rest.tell("experiments/delete", experiment_id=experiment)
    assert rest.refused("runs/log-metric", run_id=run_id, **metric())[:2] == (400, INVALID)
    rest.tell("experiments/restore", experiment_id=experiment)
    rest.tell("runs/log-metric", run_id=run_id, **metric())


def test_values_of_a_model_are_the_models_too(rest: Rest, run_id: str) -> None:
    model = rest.tell("logged-models", experiment_id="0", name="forest")["model"]["info"]["model_id"]
    on = {"model_id": model, "dataset_name": "houses", "dataset_digest": "d1"}
    rest.tell("runs/log-metric", run_id=run_id, **metric("mae", 0.5), **on)
    rest.tell("runs/log-batch", run_id=run_id, metrics=[{**metric("mse", 0.25), **on}, metric()])
    found = rest.ask(f"logged-models/{model}")["model"]["data"]["metrics"]
    assert found == [
        {**metric(key, value), **on, "run_id": run_id} for key, value in (("mae", 0.5), ("mse", 0.25))
    ]
    assert data(rest, run_id)["metrics"] == {"loss": 1.5, "mae": 0.5, "mse": 0.25}
    refused = rest.refused("runs/log-metric", run_id=run_id, **metric("other"), model_id=MODEL)
    assert refused[:2] == (400, "BAD_REQUEST")
    assert history(rest, run_id, "other") == []


def test_both_clients_see_the_same_points(rekam_clean: LocalStack, rest: Rest, run_id: str) -> None:
    client = rekam.Client(rekam_clean.tracking_uri)
    rest.tell("runs/log-batch", run_id=run_id, metrics=[metric(step=step) for step in range(3)])
    assert list(client.get_history(run_id, "loss").steps) == [0, 1, 2]
    client.log_metric(run_id, "loss", 2.5, step=3)
    client.flush()
    assert [value for _, _, value in history(rest, run_id)] == [1.5, 1.5, 1.5, 2.5]
    (writer, other) = sorted(client.get_completeness(run_id), key=lambda each: each.points)
    assert (writer.points, other.points) == (1, 3) and not writer.gaps and not other.gaps
