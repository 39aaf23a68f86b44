"""What runs read and make, over HTTP: inputs, outputs, models of older clients, datasets by experiment."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from rekam.client import Client
from tests.support.mlflow_rest import Rest


def dataset(name: str = "prices", context: str = "training", **more: str) -> dict[str, Any]:
    return {
        "dataset": {"name": name, "digest": "1", "source_type": "local", "source": "a.csv", **more},
        "tags": [{"key": "mlflow.data.context", "value": context}] if context else [],
    }


@pytest.fixture
def run_id(client: Client) -> str:
    return client.create_run("0").info.run_id


def test_inputs_and_outputs_of_a_run(rest: Rest, client: Client, run_id: str) -> None:
    assert rest.tell("runs/log-inputs", run_id=run_id, datasets=[dataset(schema="s", profile="p")]) == {}
    # The same dataset again adds nothing, not even tags; of two in a request the first counts.
    again = [dataset(context="eval"), dataset("houses", ""), dataset("houses", "x", schema="other")]
    assert rest.tell("runs/log-inputs", run_id=run_id, datasets=again, models=[{"model_id": "m-1"}]) == {}
    assert (
        rest.tell("runs/outputs", run_id=run_id, models=[{"model_id": "m-2", "step": 7}, {"model_id": "m-3"}])
        == {}
    )
    run = client.get_run(run_id)
    assert [(each.dataset.name, each.tags) for each in run.inputs.dataset_inputs] == [
        ("houses", {}),
        ("prices", {"mlflow.data.context": "training"}),
    ]
    assert run.inputs.dataset_inputs[1].dataset.schema == "s"
    assert run.inputs.model_inputs == ("m-1",)
    assert [(model.model_id, model.step) for model in run.outputs.model_outputs] == [("m-3", 0), ("m-2", 7)]
    # Nothing to log is fine.
    assert rest.tell("runs/log-inputs", run_id=run_id) == {}


def test_datasets_of_experiments(rest: Rest, run_id: str) -> None:
    path = "experiments/search-datasets"
    assert rest.tell(path, experiment_ids=["0"]) == {}
    rest.tell("runs/log-inputs", run_id=run_id, datasets=[dataset(), dataset("houses", "")])
    found = {
        "dataset_summaries": [
            {"experiment_id": "0", "name": "houses", "digest": "1"},
            {"experiment_id": "0", "name": "prices", "digest": "1", "context": "training"},
        ]
    }
    assert rest.tell(path, experiment_ids=["0", "99"]) == found
    answer = rest.post(f"/ajax-api/2.0/mlflow/{path}", json={"experiment_ids": ["0"]})
    assert answer.json() == found
    assert rest.refused(path) == (
        400,
        "INVALID_PARAMETER_VALUE",
        "SearchDatasets request must specify at least one experiment_id.",
    )
    assert (
        "cannot specify more than 20 experiment_ids. Received 21"
        in rest.refused(path, experiment_ids=["0"] * 21)[2]
    )


MODEL = {
    "artifact_path": "model",
    "flavors": {"python_function": {"loader_module": "x", "config": {"secret": 1}}, "odd": "\ud800"},
    "utc_time_created": "2026-01-01 00:00:00",
    "run_id": "r",
    "signature": {"inputs": "[]"},
}


def test_models_of_older_clients(rest: Rest, client: Client, run_id: str) -> None:
    for path in ("a", "b"):
        model = json.dumps({**MODEL, "artifact_path": path})
        assert rest.tell("runs/log-model", run_id=run_id, model_json=model) == {}
    history = json.loads(client.get_run(run_id).data.tags["mlflow.log-model.history"])
    recorded = {
        "run_id": "r",
        "utc_time_created": "2026-01-01 00:00:00",
        "flavors": {"python_function": {"loader_module": "x"}, "odd": "\ud800"},
    }
    assert history == [{**recorded, "artifact_path": "a"}, {**recorded, "artifact_path": "b"}]


def test_models_that_are_recorded_at_one_time_are_all_kept(rest: Rest, client: Client, run_id: str) -> None:
    def record(number: int) -> Any:
        model = {**MODEL, "flavors": {}, "artifact_path": str(number)}
        return rest.tell("runs/log-model", run_id=run_id, model_json=json.dumps(model))

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(record, range(24))) == [{}] * 24
    history = json.loads(client.get_run(run_id).data.tags["mlflow.log-model.history"])
    assert sorted(int(model["artifact_path"]) for model in history) == list(range(24))


IN = "Invalid value"
MISSING = "Missing value for required parameter"
REFUSALS: list[tuple[str, dict[str, Any], str]] = [
    ("log-inputs", {"datasets": {}}, f"{IN} {{}} for parameter 'datasets' supplied:"),
    ("log-inputs", {"datasets": [{"tags": []}]}, f"{MISSING} 'datasets[0].dataset'"),
    ("log-inputs", {"datasets": [dataset("x" * 501)]}, "'datasets[0].dataset.name' supplied:"),
    ("log-inputs", {"datasets": [dataset(digest="x" * 37)]}, "'datasets[0].dataset.digest' supplied:"),
    ("log-inputs", {"datasets": [dataset(source="x" * 65_536)]}, "'datasets[0].dataset.source'"),
    ("log-inputs", {"datasets": [dataset(schema="x" * 1_048_576)]}, "'datasets[0].dataset.schema'"),
    ("log-inputs", {"datasets": [dataset(profile="x" * 5_000_000)]}, "at most 4194304 bytes"),
    ("log-inputs", {"datasets": [dataset(context="x" * 501)]}, "'datasets[0].tags[0].value'"),
    ("log-inputs", {"models": [{}]}, f"{MISSING} 'models[0].model_id'"),
    ("outputs", {}, f"{MISSING} 'models'"),
    ("outputs", {"models": []}, f"{MISSING} 'models'"),
    ("outputs", {"models": [{"model_id": "m", "step": "x"}]}, "'models[0].step'"),
    ("log-model", {}, f"{MISSING} 'model_json'"),
    ("log-model", {"model_json": "{"}, "Malformed model info."),
    ("log-model", {"model_json": "[]"}, "Malformed model info."),
    ("log-model", {"model_json": '{"a":' * 50_000}, "Malformed model info."),
    ("log-model", {"model_json": "{}"}, "Model json is missing mandatory fields: ['artifact_path', "),
    ("log-model", {"model_json": json.dumps({**MODEL, "flavors": 1})}, "Malformed model info."),
    ("log-model", {"model_json": json.dumps({**MODEL, "run_id": "x" * 9_000})}, "at most 8000 characters"),
]


@pytest.mark.parametrize(("path", "fields", "text"), REFUSALS)
def test_refusals(rest: Rest, run_id: str, path: str, fields: dict[str, Any], text: str) -> None:
    status, code, message = rest.refused(f"runs/{path}", run_id=run_id, **fields)
    assert (status, code) == (400, "INVALID_PARAMETER_VALUE")
    assert text in message


def test_a_deleted_run_takes_nothing(rest: Rest, client: Client, run_id: str) -> None:
    client.delete_run(run_id)
    bodies: list[tuple[str, dict[str, Any]]] = [
        ("runs/log-inputs", {"datasets": [dataset()]}),
        ("runs/outputs", {"models": [{"model_id": "m"}]}),
        ("runs/log-model", {"model_json": json.dumps(MODEL)}),
    ]
    for path, fields in bodies:
        assert rest.refused(path, run_id=run_id, **fields) == (
            400,
            "INVALID_PARAMETER_VALUE",
            f"The run {run_id} must be in the 'active' state. Current state is deleted.",
        )
        for unknown in ("0" * 32, "x"):
            assert rest.refused(path, run_id=unknown, **fields) == (
                404,
                "RESOURCE_DOES_NOT_EXIST",
                f"Run with id={unknown} not found",
            )
