"""What a version may be made from, over HTTP: runs, logged models, other versions, paths of a disk."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from rekam.client import Client
from tests.support.mlflow_rest import Rest

UNKNOWN = f"m-{'0' * 32}"


@pytest.fixture
def model(rest: Rest) -> Any:
    """A logged model, and a registered one to make versions of; the info of the former."""
    rest.tell("registered-models/create", name="Fraud")
    fields = {"experiment_id": "0", "name": "forest", "source_run_id": "a" * 32}
    return rest.tell("logged-models", **fields)["model"]["info"]


def register(rest: Rest, source: str, name: str = "Fraud", **fields: Any) -> Any:
    return rest.tell("model-versions/create", name=name, source=source, **fields)["model_version"]


def location(rest: Rest, version: Any) -> str:
    place = {"name": version["name"], "version": version["version"]}
    return str(rest.ask("model-versions/get-download-uri", **place)["artifact_uri"])


def recorded(rest: Rest, model_id: str) -> Any:
    tags = rest.ask(f"logged-models/{model_id}")["model"]["info"].get("tags", [])
    return json.loads({tag["key"]: tag["value"] for tag in tags}["mlflow.modelVersions"])


def test_a_logged_model_is_what_it_is_made_from(rest: Rest, model: Any) -> None:
    source = f"models:/{model['model_id']}"
    version = register(rest, source, model_id=model["model_id"])
    # Where its files are, and whose, tracking knows.
    assert (version["source"], version["run_id"]) == (source, "a" * 32)
    assert location(rest, version) == model["artifact_uri"]
    register(rest, source, run_id="b" * 32)
    named = register(rest, model["artifact_uri"], model_id=model["model_id"])
    assert (named["source"], named["run_id"]) == (model["artifact_uri"], "a" * 32)
    assert recorded(rest, model["model_id"]) == [{"name": "Fraud", "version": n} for n in (1, 2, 3)]


def test_a_logged_model_tells_all_that_were_made_from_it_at_once(rest: Rest, model: Any) -> None:
    source = f"models:/{model['model_id']}"
    with ThreadPoolExecutor(8) as clients:
        list(clients.map(lambda _: register(rest, source, model_id=model["model_id"]), range(24)))
    made = {each["version"] for each in recorded(rest, model["model_id"])}
    assert made == set(range(1, 25))


def test_the_version_is_made_also_when_the_logged_model_cannot_tell(rest: Rest, model: Any) -> None:
    path = f"logged-models/{model['model_id']}"
    rest.tell(f"{path}/tags", "PATCH", tags=[{"key": "mlflow.modelVersions", "value": "mine"}])
    assert register(rest, f"models:/{model['model_id']}")["version"] == "1"


def test_a_version_of_another_model(rest: Rest, model: Any) -> None:
    original = register(rest, f"models:/{model['model_id']}")
    rest.tell("registered-models/create", name="Risk")
    rest.tell("registered-models/alias", name="Fraud", alias="champion", version="1")
    for source in ("models:/Fraud/1", "models:/Fraud/latest", "models:/Fraud@champion"):
        copied = register(rest, source, "Risk")
        assert copied["source"] == source
        assert location(rest, copied) == location(rest, original)
    for source, text in (
        ("models:/Fraud/2", "Model Version (name=Fraud, version=2) not found"),
        ("models:/Nothing/1", "Registered Model with name=Nothing not found"),
    ):
        assert rest.refused("model-versions/create", name="Risk", source=source) == (
            404,
            "RESOURCE_DOES_NOT_EXIST",
            text,
        )


RELATIVE = "an absolute path must be provided without relative path references present"
LOCAL = "To use a local path as a model version source, the run_id request parameter"

WRONG: list[tuple[str, dict[str, Any], int, str]] = [
    ("model", {}, 400, LOCAL),
    ("/tmp/model", {}, 400, LOCAL),
    ("file:///tmp/model", {}, 400, LOCAL),
    ("C:\\model", {}, 400, LOCAL),
    # The run's artifacts are not on a disk.
    ("/tmp/model", {"run_id": "{run}"}, 400, LOCAL),
    ("/tmp/model", {"run_id": "f" * 32}, 404, "not found"),
    ("/tmp/model", {"model_id": "{model}"}, 400, "the model_id request parameter has to be specified"),
    ("s3://bucket/a/../b", {}, 400, RELATIVE),
    ("s3://bucket/a/./b", {}, 400, RELATIVE),
    ("mlflow-artifacts://host:5000/..%2f..%2fb", {}, 400, RELATIVE),
    ("s3://bucket/%252e%252e/b", {}, 400, RELATIVE),
    ("http://host/a%00", {}, 400, RELATIVE),
    ("s3://bucket/%" + "25" * 12 + "2e", {}, 400, RELATIVE),
    ("models:/Fraud", {}, 400, "Invalid model version URI"),
    (
        f"models:/{UNKNOWN}",
        {},
        400,
        "Unable to fetch model from model URI source artifact location 'models:/",
    ),
    ("models:/{model}", {"model_id": UNKNOWN}, 400, "The model_id request parameter must identify"),
    ("s3://bucket/model", {"model_id": UNKNOWN}, 404, f"Logged model with ID '{UNKNOWN}' not found."),
    ("s3://bucket/model", {"model_id": "x"}, 404, "Logged model with ID 'x' not found."),
    ("s3://bucket/" + "x" * 2_048, {}, 400, "A source has at most 2,048 characters"),
]


@pytest.mark.parametrize(("source", "fields", "status", "text"), WRONG)
def test_wrong_sources(
    rest: Rest, model: Any, source: str, fields: dict[str, Any], status: int, text: str
) -> None:
    run_id = rest.tell("runs/create", experiment_id="0")["run"]["info"]["run_id"]
    ids = {"run": run_id, "model": model["model_id"]}
    filled = {key: value.format(**ids) for key, value in fields.items()}
    asked = {"name": "Fraud", "source": source.replace("{model}", model["model_id"]), **filled}
    refused = rest.refused("model-versions/create", **asked)
    assert refused[0] == status
    assert text in refused[2]
    assert rest.ask("model-versions/search") == {}


def test_a_path_among_the_artifacts_of_a_run_on_a_disk(rest: Rest, client: Client) -> None:
    rest.tell("registered-models/create", name="Fraud")
    for number, root in enumerate(("/shared/lab", "file:///shared/other lab")):
        experiment = rest.tell("experiments/create", name=f"e{number}", artifact_location=root)
        run = rest.tell("runs/create", experiment_id=experiment["experiment_id"])["run"]["info"]
        made = rest.tell("logged-models", experiment_id=experiment["experiment_id"])["model"]["info"]
        for owner, uri in (
            ({"run_id": run["run_id"]}, run["artifact_uri"]),
            ({"model_id": made["model_id"]}, made["artifact_uri"]),
        ):
            version = register(rest, f"{uri}/model", **owner)
            assert location(rest, version) == f"{uri}/model"
            for outside in (f"{uri}2/model", f"{uri}/../model", "/etc", root):
                refused = rest.refused("model-versions/create", name="Fraud", source=outside, **owner)
                assert refused[:2] == (400, "INVALID_PARAMETER_VALUE"), outside


def test_the_files_of_a_version_are_read_by_its_name(rest: Rest, model: Any) -> None:
    root = model["artifact_uri"].removeprefix("mlflow-artifacts:/")
    url = f"/api/2.0/mlflow-artifacts/artifacts/{root}/data/model.pkl"
    assert rest.put(url, content=b"\x00\x01").status_code == 200
    register(rest, f"models:/{model['model_id']}")
    register(rest, "s3://elsewhere/model")

    def file(version: str, path: str) -> Any:
        return rest.get(
            "/model-versions/get-artifact", params={"name": "Fraud", "version": version, "path": path}
        )

    found = file("1", "data/model.pkl")
    assert (found.status_code, found.content) == (200, b"\x00\x01")
    assert found.headers["content-disposition"] == "attachment; filename=model.pkl"
    for version, path, status in (
        ("1", "nothing", 404),
        ("1", "data", 400),
        ("1", "../data/model.pkl", 400),
        ("1", "%2e%2e/data", 400),
        ("2", "MLmodel", 400),
        ("3", "MLmodel", 404),
        ("x", "MLmodel", 400),
        ("1", "", 400),
    ):
        assert file(version, path).status_code == status, (version, path)
