"""What one client writes the other reads, at once: MLflow's REST API beside gRPC, on one stack."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import pytest

from rekam.client import Client
from rekam.data import Dataset, DatasetInput
from rekam.entities import ModelOutput, ViewType
from rekam.errors import FailedPrecondition, Invalid, NotFound
from rekam.registry import Registry
from rekam.testing import LocalStack
from tests.support.mlflow_rest import Rest
from tests.support.stack import until


def run_of(rest: Rest, run_id: str) -> Any:
    return rest.ask("runs/get", run_id=run_id)["run"]


def values(pairs: list[dict[str, str]]) -> dict[str, str]:
    return {each["key"]: each["value"] for each in pairs}


def test_a_run_made_over_http(rest: Rest, client: Client) -> None:
    experiment_id = rest.tell("experiments/create", name="http", tags=[{"key": "a", "value": "b"}])[
        "experiment_id"
    ]
    experiment = client.get_experiment(experiment_id)
    assert (experiment.name, experiment.tags) == ("http", {"a": "b"})
    made = rest.tell(
        "runs/create", experiment_id=experiment_id, run_name="first", start_time=5, user_id="ada"
    )
    info = made["run"]["info"]
    run_id = info["run_id"]
    seen = client.get_run(run_id)
    assert (seen.info.run_name, seen.info.user_id, seen.info.start_time) == ("first", "ada", 5)
    assert (seen.info.status, seen.info.artifact_uri) == ("RUNNING", info["artifact_uri"])
    rest.tell("runs/log-parameter", run_id=run_id, key="p", value="1")
    rest.tell("runs/set-tag", run_id=run_id, key="t", value="x")
    rest.tell(
        "runs/log-batch",
        run_id=run_id,
        metrics=[
            {"key": "loss", "value": value, "timestamp": 7, "step": step}
            for step, value in enumerate([0.5, 0.25])
        ],
        params=[{"key": "q", "value": "2"}],
        tags=[{"key": "u", "value": "y"}],
    )
    rest.tell("runs/log-metric", run_id=run_id, key="acc", value="NaN", timestamp=8)
    data = client.get_run(run_id).data
    assert data.params == {"p": "1", "q": "2"}
    assert data.tags == {"mlflow.runName": "first", "t": "x", "u": "y"}
    assert data.metrics["loss"] == 0.25
    assert math.isnan(data.metrics["acc"])
    history = client.get_metric_history(run_id, "loss")
    assert [(point.step, point.value, point.timestamp) for point in history] == [(0, 0.5, 7), (1, 0.25, 7)]
    assert [run.info.run_id for run in client.search_runs([experiment_id], "metrics.loss < 0.3")] == [run_id]
    rest.tell("runs/update", run_id=run_id, status="FINISHED", end_time=9, run_name="second")
    seen = client.get_run(run_id)
    assert (seen.info.status, seen.info.end_time, seen.info.run_name) == ("FINISHED", 9, "second")
    assert seen.data.tags["mlflow.runName"] == "second"
    with pytest.raises(Invalid, match="Changing param values is not allowed"):
        client.log_param(run_id, "p", "other")
    rest.tell("runs/delete", run_id=run_id)
    assert client.get_run(run_id).info.lifecycle_stage == "deleted"
    with pytest.raises(FailedPrecondition):
        client.set_tag(run_id, "late", "x")
    assert [each.info.run_id for each in client.search_runs([experiment_id], "", ViewType.DELETED_ONLY)] == [
        run_id
    ]
    rest.tell("runs/restore", run_id=run_id)
    assert client.get_run(run_id).info.lifecycle_stage == "active"


def test_a_run_made_over_grpc(rest: Rest, client: Client) -> None:
    experiment_id = client.create_experiment("grpc", tags={"a": "b"})
    found = rest.ask("experiments/get-by-name", experiment_name="grpc")["experiment"]
    assert (found["experiment_id"], found["tags"]) == (experiment_id, [{"key": "a", "value": "b"}])
    run_id = client.create_run(experiment_id, 5, {"t": "x"}, "first").info.run_id
    client.log_params(run_id, {"p": 1})
    for step in range(3):
        client.log_metric(run_id, "loss", 1.0 / (step + 1), timestamp=10 + step, step=step)
    client.flush()
    run = run_of(rest, run_id)
    assert (run["info"]["run_name"], run["info"]["start_time"], run["info"]["status"]) == (
        "first",
        5,
        "RUNNING",
    )
    assert values(run["data"]["params"]) == {"p": "1"}
    assert values(run["data"]["tags"]) == {"mlflow.runName": "first", "t": "x"}
    (latest,) = run["data"]["metrics"]
    assert (latest["key"], latest["step"], latest["timestamp"]) == ("loss", 2, 12)
    history = rest.ask("metrics/get-history", run_id=run_id, metric_key="loss", max_results=10)["metrics"]
    assert [(point["step"], point["timestamp"], point["value"]) for point in history] == [
        (step, 10 + step, 1.0 / (step + 1)) for step in range(3)
    ]
    status, code, message = rest.refused("runs/log-parameter", run_id=run_id, key="p", value="2")
    assert (status, code) == (400, "INVALID_PARAMETER_VALUE")
    assert "was already logged with value='1'" in message
    # Both write one metric: neither loses a point.
    rest.tell("runs/log-metric", run_id=run_id, key="loss", value=0.1, timestamp=20, step=9)
    client.log_metric(run_id, "loss", 0.2, timestamp=21, step=8)
    client.flush()
    assert run_of(rest, run_id)["data"]["metrics"][0]["value"] == 0.1
    assert len(client.get_metric_history(run_id, "loss")) == 5
    client.set_terminated(run_id, end_time=30)
    client.update_run(run_id, name="second")
    info = run_of(rest, run_id)["info"]
    assert (info["status"], info["end_time"], info["run_name"]) == ("FINISHED", 30, "second")
    client.delete_run(run_id)
    assert run_of(rest, run_id)["info"]["lifecycle_stage"] == "deleted"
    assert (
        "must be in the 'active' state"
        in rest.refused("runs/log-metric", run_id=run_id, key="a", value=1, timestamp=1)[2]
    )
    client.restore_run(run_id)
    rest.tell("runs/log-metric", run_id=run_id, key="a", value=1, timestamp=1)
    assert client.get_run(run_id).data.metrics["a"] == 1.0


def test_an_experiment_through_both(rest: Rest, client: Client) -> None:
    experiment_id = client.create_experiment("one")
    assert rest.refused("experiments/create", name="one")[:2] == (400, "RESOURCE_ALREADY_EXISTS")
    run_id = client.create_run(experiment_id).info.run_id
    rest.tell("experiments/update", experiment_id=experiment_id, new_name="two")
    assert client.get_experiment(experiment_id).name == "two"
    client.set_experiment_tag(experiment_id, "k", "v")
    assert rest.ask("experiments/get", experiment_id=experiment_id)["experiment"]["tags"] == [
        {"key": "k", "value": "v"}
    ]
    rest.tell("experiments/delete", experiment_id=experiment_id)
    assert client.get_run(run_id).info.lifecycle_stage == "deleted"
    client.restore_experiment(experiment_id)
    assert run_of(rest, run_id)["info"]["lifecycle_stage"] == "active"
    found = rest.tell("runs/search", experiment_ids=[experiment_id])["runs"]
    assert [run["info"]["run_id"] for run in found] == [run_id]


def test_datasets_and_models_through_both(rest: Rest, client: Client) -> None:
    other_id = client.create_run("0").info.run_id
    run_id = rest.tell("runs/create", experiment_id="0")["run"]["info"]["run_id"]
    prices = {"name": "prices", "digest": "1", "source_type": "local", "source": "a.csv", "schema": "s"}
    context = [{"key": "mlflow.data.context", "value": "training"}]
    rest.tell("runs/log-inputs", run_id=run_id, datasets=[{"dataset": prices, "tags": context}])
    client.log_inputs(run_id, [DatasetInput(Dataset("houses", "1"))])
    (houses, found) = client.get_run(run_id).inputs.dataset_inputs
    assert (houses.dataset.name, found.dataset.name, found.context) == ("houses", "prices", "training")
    (_, read) = run_of(rest, run_id)["inputs"]["dataset_inputs"]
    assert read["tags"] == context
    assert {key: read["dataset"][key] for key in prices} == prices
    assert len(client.search_datasets(["0"])) == 2
    # Schemas of wide tables are as large as MLflow allows.
    wide = {"name": "wide", "digest": "1", "schema": "x" * 1_048_575, "profile": "y" * 1_000_000}
    rest.tell("runs/log-inputs", run_id=run_id, datasets=[{"dataset": wide}])
    dataset = client.get_run(run_id).inputs.dataset_inputs[2].dataset
    assert (dataset.schema, dataset.profile) == (wide["schema"], wide["profile"])
    client.log_inputs(other_id, [DatasetInput(dataset)])
    assert run_of(rest, other_id)["inputs"]["dataset_inputs"][0]["dataset"] == {
        **wide,
        "source_type": "",
        "source": "",
    }

    model_id = client.create_logged_model("0", "forest", run_id, params={"depth": 5}).model_id
    rest.tell("runs/outputs", run_id=run_id, models=[{"model_id": model_id, "step": 3}])
    assert client.get_run(run_id).outputs.model_outputs == (ModelOutput(model_id, 3),)
    rest.tell(f"logged-models/{model_id}", "PATCH", status="LOGGED_MODEL_READY")
    rest.tell(f"logged-models/{model_id}/tags", "PATCH", tags=[{"key": "t", "value": "x"}])
    model = client.get_logged_model(model_id)
    assert (model.status, model.tags, model.source_run_id) == ("READY", {"t": "x"}, run_id)
    on_prices = {"dataset_name": "prices", "dataset_digest": "1"}
    point: dict[str, Any] = {"key": "acc", "value": 0.5, "timestamp": 1, "model_id": model_id, **on_prices}
    rest.tell("runs/log-metric", run_id=run_id, **point)
    (metric,) = client.get_logged_model(model_id).metrics
    assert (metric.key, metric.value, metric.dataset_name, metric.run_id) == ("acc", 0.5, "prices", run_id)
    assert client.get_run(run_id).data.metrics == {"acc": 0.5}
    client.log_model_metrics(model_id, {"acc": 0.7}, timestamp=2)
    (found_model,) = rest.tell("logged-models/search", experiment_ids=["0"], filter="metrics.acc > 0.6")[
        "models"
    ]
    assert [each["value"] for each in found_model["data"]["metrics"]] == [0.5, 0.7]
    client.delete_logged_model(model_id)
    assert rest.refused(f"logged-models/{model_id}", "GET")[:2] == (404, "RESOURCE_DOES_NOT_EXIST")


def test_registered_models_through_both(rekam_clean: LocalStack, rest: Rest, client: Client) -> None:
    client.create_registered_model("Fraud", tags={"team": "risk"}, description="finds fraud", actor="ada")
    model = rest.ask("registered-models/get", name="Fraud")["registered_model"]
    assert (model["description"], model["tags"]) == ("finds fraud", [{"key": "team", "value": "risk"}])
    made = client.create_logged_model("0", "forest").model_id
    first = client.create_model_version("Fraud", "s3://bucket/1", actor="ada", tags={"fold": "1"})
    second = rest.tell("model-versions/create", name="Fraud", source=f"models:/{made}")["model_version"]
    # Both count as one.
    assert (first.version, second["version"]) == (1, "2")
    found = rest.ask("model-versions/get", name="Fraud", version="1")["model_version"]
    assert (found["user_id"], found["source"]) == ("ada", "s3://bucket/1")
    seen = client.get_model_version("Fraud", 2)
    assert (seen.model_id, seen.location) == (made, client.get_logged_model(made).artifact_location)
    with Registry(rekam_clean.tracking_uri, names=["Fraud"]) as registry:

        def known(uri: str) -> int:
            try:
                return registry.resolve(uri).version
            except NotFound:
                return 0

        rest.tell("model-versions/transition-stage", name="Fraud", version="2", stage="production")
        rest.tell("registered-models/alias", name="Fraud", alias="champion", version="2")
        for uri in ("models:/Fraud/Production", "models:/Fraud@champion"):
            assert client.resolve_model(uri).version == 2
            until(f"{uri} is known to who follows", partial(known, uri))
    client.set_registered_model_alias("Fraud", "champion", 1)
    champion = rest.ask("registered-models/alias", name="Fraud", alias="champion")["model_version"]
    assert (champion["version"], champion["aliases"]) == ("1", ["champion"])
    rest.tell("registered-models/rename", name="Fraud", new_name="Risk")
    assert [each.name for each in client.search_model_versions("version_number = 2")] == ["Risk"]
    client.delete_model_version("Risk", 1)
    assert "aliases" not in rest.ask("registered-models/get", name="Risk")["registered_model"]
    with pytest.raises(NotFound):
        client.get_model_version("Fraud", 2)
