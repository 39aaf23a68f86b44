"""The files of a logged model over HTTP: sent through the proxy, listed and read by the model's id."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.mlflow_rest import Rest

FILES = {"MLmodel": b"flavors: {}\n", "data/model.pkl": b"\x00\x01", "data/deep/a b+c.txt": "é".encode()}


@pytest.fixture
def model(rest: Rest) -> Any:
    """A model with files; its answer's info."""
    info = rest.tell("logged-models", experiment_id="0", name="forest")["model"]["info"]
    root = info["artifact_uri"].removeprefix("mlflow-artifacts:/")
    for path, content in FILES.items():
        url = f"/api/2.0/mlflow-artifacts/artifacts/{root}/{path}"
        assert rest.put(url, content=content).json() == {}
    return info


def folders(rest: Rest, model: Any, **query: str) -> Any:
    return rest.ask(f"logged-models/{model['model_id']}/artifacts/directories", **query)


def file(rest: Rest, model_id: str, path: str, root: str = "ajax-api") -> Any:
    url = f"/{root}/2.0/mlflow/logged-models/{model_id}/artifacts/files"
    return rest.get(url, params={"artifact_file_path": path} if path else {})


def test_folders_are_listed_relative_to_the_model(rest: Rest, model: Any) -> None:
    assert folders(rest, model) == {
        "root_uri": model["artifact_uri"],
        "files": [
            {"path": "MLmodel", "is_dir": False, "file_size": 12},
            {"path": "data", "is_dir": True},
        ],
    }
    assert folders(rest, model, artifact_directory_path="data")["files"] == [
        {"path": "data/deep", "is_dir": True},
        {"path": "data/model.pkl", "is_dir": False, "file_size": 2},
    ]
    for nothing in ("nowhere", "MLmodel"):
        assert folders(rest, model, artifact_directory_path=nothing) == {"root_uri": model["artifact_uri"]}


def test_files_are_read_by_the_model_s_id(rest: Rest, model: Any) -> None:
    for path, content in FILES.items():
        answer = file(rest, model["model_id"], path)
        assert (answer.status_code, answer.content) == (200, content)
        assert answer.headers["content-disposition"].startswith("attachment; ")
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert file(rest, model["model_id"], "MLmodel", "api").json()["error_code"] == "ENDPOINT_NOT_FOUND"


def test_refusals(rest: Rest, model: Any) -> None:
    model_id = model["model_id"]
    assert file(rest, model_id, "nothing").json()["error_code"] == "RESOURCE_DOES_NOT_EXIST"
    assert "'artifact_file_path'" in file(rest, model_id, "").json()["message"]
    assert file(rest, model_id, "data").status_code == 400
    for path in ("../MLmodel", "/etc/passwd", "%2e%2e/x", "a#b", "..\\x"):
        answer = file(rest, model_id, path)
        assert (answer.status_code, answer.json()["message"]) == (400, "Invalid path")
        refused = rest.refused(
            f"logged-models/{model_id}/artifacts/directories", "GET", artifact_directory_path=path
        )
        assert refused == (400, "INVALID_PARAMETER_VALUE", "Invalid path")
    for unknown in (f"m-{'0' * 32}", "x"):
        assert file(rest, unknown, "MLmodel").status_code == 404
        assert rest.refused(f"logged-models/{unknown}/artifacts/directories", "GET")[0] == 404
    rest.tell(f"logged-models/{model_id}", "DELETE")
    assert file(rest, model_id, "MLmodel").status_code == 404
    assert rest.refused(f"logged-models/{model_id}/artifacts/directories", "GET")[0] == 404
