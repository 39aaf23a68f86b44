"""logged-models/* over HTTP: from creation to deletion, searches with their pages, refusals."""

from __future__ import annotations

import math
from typing import Any

import pytest

from rekam.client import Client
from rekam_proto.tracking.v1 import logged_model_pb2, logged_model_pb2_grpc
from tests.support.mlflow_rest import Rest

UNKNOWN = f"m-{'0' * 32}"


def create(rest: Rest, **fields: Any) -> Any:
    return rest.tell("logged-models", experiment_id="0", **fields)["model"]


def names(found: Any) -> list[str]:
    return [model["info"]["name"] for model in found.get("models", [])]


def measure(client: Client, model_id: str, *metrics: logged_model_pb2.LoggedModelMetric) -> None:
    stub = logged_model_pb2_grpc.LoggedModelServiceStub(client._server.channel)
    stub.LogLoggedModelMetrics(
        logged_model_pb2.LogLoggedModelMetricsRequest(model_id=model_id, metrics=metrics), timeout=30
    )


def value(key: str, number: float, time_ms: int = 1, step: int = 0, dataset: str = "") -> Any:
    return logged_model_pb2.LoggedModelMetric(
        key=key,
        value=number,
        time_us=time_ms * 1_000,
        step=step,
        dataset_name=dataset,
        dataset_digest="1" if dataset else "",
    )


def test_a_model_from_its_creation_to_its_deletion(rest: Rest, client: Client) -> None:
    model = create(
        rest,
        name="forest",
        model_type="regressor",
        source_run_id="f" * 32,
        params=[{"key": "depth", "value": "5"}, {"key": "empty", "value": ""}],
        tags=[{"key": "a/b", "value": "c"}],
    )
    info = model["info"]
    model_id = info["model_id"]
    assert info == {
        "model_id": model_id,
        "experiment_id": "0",
        "name": "forest",
        "creation_timestamp_ms": info["creation_timestamp_ms"],
        "last_updated_timestamp_ms": info["creation_timestamp_ms"],
        "artifact_uri": f"mlflow-artifacts:/0/models/{model_id}/artifacts",
        "status": "LOGGED_MODEL_PENDING",
        "model_type": "regressor",
        "source_run_id": "f" * 32,
        "tags": [{"key": "a/b", "value": "c"}],
    }
    assert model["data"]["params"] == [{"key": "depth", "value": "5"}, {"key": "empty", "value": ""}]
    assert rest.ask(f"logged-models/{model_id}")["model"] == model
    # Every value of a metric, not the latest alone.
    measure(
        client, model_id, value("loss", 0.5), value("loss", math.nan, 2, 7, "d"), value("loss", math.inf, 3)
    )
    path = f"logged-models/{model_id}"
    ready = rest.tell(path, "PATCH", model_id=model_id, status="LOGGED_MODEL_READY")["model"]
    assert ready["info"]["status"] == "LOGGED_MODEL_READY"
    assert ready["data"]["metrics"] == [
        {"key": "loss", "value": 0.5, "timestamp": 1, "step": 0, "model_id": model_id},
        {
            "key": "loss",
            "value": "NaN",
            "timestamp": 2,
            "step": 7,
            "model_id": model_id,
            "dataset_name": "d",
            "dataset_digest": "1",
        },
        {"key": "loss", "value": "Infinity", "timestamp": 3, "step": 0, "model_id": model_id},
    ]
    # Any status may follow any other.
    for status in ("LOGGED_MODEL_UPLOAD_FAILED", "LOGGED_MODEL_PENDING", 2):
        again = rest.tell(path, "PATCH", model_id=model_id, status=status)["model"]["info"]["status"]
    assert again == "LOGGED_MODEL_READY"
    assert rest.tell(f"{path}/tags", "PATCH", tags=[{"key": "a/b", "value": "d"}, {"key": "e"}]) == {}
    assert rest.tell(f"{path}/params", model_id=model_id, params=[{"key": "lr", "value": "0.1"}]) == {}
    assert rest.tell(f"{path}/tags/a/b", "DELETE") == {}
    got = rest.ask(path)["model"]
    assert got["info"]["tags"] == [{"key": "e", "value": ""}]
    assert {"key": "lr", "value": "0.1"} in got["data"]["params"]
    for _ in range(2):
        assert rest.tell(path, "DELETE") == {}
    assert rest.refused(path, "GET") == (
        404,
        "RESOURCE_DOES_NOT_EXIST",
        f"Logged model with ID '{model_id}' not found.",
    )
    assert rest.ask(path, allow_deleted="True")["model"]["info"]["name"] == "forest"
    assert rest.tell("logged-models/search", experiment_ids=["0"]) == {}


def test_a_model_without_a_name_gets_one(rest: Rest) -> None:
    model = create(rest)
    assert model["info"]["name"].count("-") == 2
    assert "model_type" not in model["info"]
    assert model["data"] == {}


def test_repeated_params(rest: Rest) -> None:
    path = f"logged-models/{create(rest)['info']['model_id']}/params"
    for _ in range(2):
        assert rest.tell(path, params=[{"key": "a", "value": "1"}]) == {}
    status, code, message = rest.refused(path, params=[{"key": "a", "value": "2"}])
    assert (status, code) == (400, "INVALID_PARAMETER_VALUE")
    assert message.startswith("Changing param values is not allowed. Param with key='a' was already logged")


CODES = {400: "INVALID_PARAMETER_VALUE", 404: "RESOURCE_DOES_NOT_EXIST"}

REFUSALS: list[tuple[str, str, dict[str, Any], int, str]] = [
    ("POST", "logged-models", {}, 400, "'experiment_id'"),
    ("POST", "logged-models", {"experiment_id": "99"}, 404, "id=99"),
    (
        "POST",
        "logged-models",
        {"experiment_id": "x"},
        400,
        "Invalid experiment ID",
    ),
    *(
        (
            "POST",
            "logged-models",
            {"experiment_id": "0", "name": f"a{character}b"},
            400,
            "Invalid model name (",
        )
        for character in "/:.%\"'"
    ),
    (
        "POST",
        "logged-models",
        {"experiment_id": "0", "params": [{"value": "1"}]},
        400,
        "Missing value for required parameter 'params[0].key'",
    ),
    (
        "POST",
        "logged-models",
        {"experiment_id": "0", "tags": {"a": "b"}},
        400,
        "Invalid value {\"a\":\"b\"} for parameter 'tags' supplied:  Hint: Value was of type 'dict'.",
    ),
    *(
        (method, f"logged-models/{model_id}{rest}", body, 404, "not found")
        for model_id in (UNKNOWN, "x", "m-*", "%2A")
        for method, rest, body in (
            ("GET", "", {}),
            ("DELETE", "", {}),
            ("PATCH", "", {"status": "LOGGED_MODEL_READY"}),
            ("PATCH", "/tags", {"tags": [{"key": "a", "value": "b"}]}),
            ("DELETE", "/tags/a", {}),
            ("POST", "/params", {"params": [{"key": "a", "value": "b"}]}),
        )
    ),
    ("PATCH", f"logged-models/{UNKNOWN}", {}, 400, "'status'"),
    ("PATCH", f"logged-models/{UNKNOWN}", {"status": "READY"}, 400, "'status'"),
    ("POST", "logged-models/search", {}, 400, "'experiment_ids'"),
    (
        "POST",
        "logged-models/search",
        {"experiment_ids": []},
        400,
        "'experiment_ids'",
    ),
    (
        "POST",
        "logged-models/search",
        {"experiment_ids": [0]},
        400,
        "experiment_ids",
    ),
    (
        "POST",
        "logged-models/search",
        {"experiment_ids": ["0"], "datasets": [{"dataset_digest": "1"}]},
        400,
        "`dataset_name` in the `datasets` clause must be specified.",
    ),
    (
        "POST",
        "logged-models/search",
        {"experiment_ids": ["0"], "max_results": -1},
        400,
        "Invalid value -1 for parameter 'max_results'",
    ),
    (
        "POST",
        "logged-models/search",
        {"experiment_ids": ["0"], "page_token": "x"},
        400,
        "Invalid page token",
    ),
]


@pytest.mark.parametrize(("method", "path", "fields", "status", "text"), REFUSALS)
def test_refusals(rest: Rest, method: str, path: str, fields: dict[str, Any], status: int, text: str) -> None:
    refused = rest.refused(path, method, **fields)
    assert refused[:2] == (status, CODES[status])
    assert text in refused[2]


def test_a_tag_that_is_not_set_is_a_404(rest: Rest) -> None:
    model_id = create(rest)["info"]["model_id"]
    status, code, message = rest.refused(f"logged-models/{model_id}/tags/a", "DELETE")
    assert (status, code) == (404, "RESOURCE_DOES_NOT_EXIST")
    assert message == f"No tag with key 'a' found for model with ID '{model_id}'."


def test_pages_and_orders(rest: Rest, client: Client) -> None:
    for number, name in enumerate(["b", "a", "c", "d"]):
        model_id = create(rest, name=name)["info"]["model_id"]
        if name != "d":
            # The latest by time, then step.
            measure(
                client,
                model_id,
                value("loss", 9.0, 1, 9),
                value("loss", number, 2),
                value("loss", -1.0, 3, 1, "e"),
            )

    def search(**fields: Any) -> Any:
        return rest.tell("logged-models/search", experiment_ids=["0"], **fields)

    assert names(search()) == ["d", "c", "a", "b"]
    by_name = [{"field_name": "name"}]
    first = search(order_by=by_name, max_results=2)
    assert names(first) == ["a", "b"]
    second = search(order_by=by_name, max_results=2, page_token=first["next_page_token"])
    assert names(second) == ["c", "d"]
    assert "next_page_token" not in second
    refused = rest.refused(
        "logged-models/search", experiment_ids=["0"], page_token=first["next_page_token"], filter="name = 'a'"
    )
    assert refused[:2] == (400, "INVALID_PARAMETER_VALUE")
    assert "Invalid page token" in refused[2]
    assert names(search(order_by=[{"field_name": "name", "ascending": False}])) == ["d", "c", "b", "a"]
    assert names(search(order_by=[{"field_name": "creation_time"}])) == ["b", "a", "c", "d"]
    # Those without the metric are last, in both directions.
    without = {"field_name": "metrics.loss", "dataset_name": "e", "dataset_digest": "1"}
    assert names(search(order_by=[{"field_name": "metrics.loss"}, {"field_name": "name"}])) == [
        "a",
        "b",
        "c",
        "d",
    ]
    assert names(search(order_by=[{**without, "ascending": False}]))[-1] == "d"
    for field, text in (
        ("oops", "Invalid attribute key 'oops' specified"),
        ("params.a", "Invalid order_by entity: param"),
        ("x.a", "Invalid entity type 'x'"),
    ):
        assert (
            text
            in rest.refused("logged-models/search", experiment_ids=["0"], order_by=[{"field_name": field}])[2]
        )
