"""Artifacts of one run or logged model over HTTP: lists, downloads, small uploads, urls of S3."""

from __future__ import annotations

import os
from urllib.request import Request, urlopen

import pytest

from rekam.client import Client
from tests.support.mlflow_rest import Rest
from tests.support.proxied import Proxied

UPLOAD = "/ajax-api/2.0/mlflow/upload-artifact"
NOBODY = "0" * 32


@pytest.fixture
def run_id(client: Client) -> str:
    return client.create_run("0").info.run_id


@pytest.fixture
def proxied(rest: Rest) -> Proxied:
    return Proxied(str(rest.base_url))


def test_a_run_lists_its_own(rest: Rest, proxied: Proxied, run_id: str) -> None:
    root = f"0/{run_id}/artifacts"
    assert rest.ask("artifacts/list", run_id=run_id) == {"root_uri": f"mlflow-artifacts:/{root}"}
    for path in ("b.txt", "a/c d.txt", "a/ä/e.txt"):
        proxied.put(f"{root}/{path}", path.encode())
    proxied.put(f"0/{NOBODY}/artifacts/other", b"")
    assert rest.ask("artifacts/list", run_uuid=run_id) == {
        "root_uri": f"mlflow-artifacts:/{root}",
        "files": [{"path": "a", "is_dir": True}, {"path": "b.txt", "is_dir": False, "file_size": 5}],
    }
    for folder in ("a", "a/", "a%2F"):
        assert rest.ask("artifacts/list", run_id=run_id, path=folder)["files"] == [
            {"path": "a/c d.txt", "is_dir": False, "file_size": 9},
            {"path": "a/ä", "is_dir": True},
        ]
    for nothing in ("b.txt", "x"):
        assert "files" not in rest.ask("artifacts/list", run_id=run_id, path=nothing)


def test_a_run_gives_its_own(rest: Rest, proxied: Proxied, run_id: str) -> None:
    proxied.put(f"0/{run_id}/artifacts/a/ä b.bin", b"0123456789")
    for name in ("run_id", "run_uuid"):
        got = rest.get("/get-artifact", params={name: run_id, "path": "a/ä b.bin"})
        assert (got.status_code, got.content) == (200, b"0123456789")
        assert got.headers["content-disposition"] == "attachment; filename*=UTF-8''%C3%A4%20b.bin"
        assert got.headers["x-content-type-options"] == "nosniff"
    asked = {"run_id": run_id, "path": "a/ä b.bin"}
    assert rest.get("/get-artifact", params=asked, headers={"range": "bytes=2-3"}).content == b"23"
    for params, status, code in (
        ({"run_id": run_id, "path": "x"}, 404, "RESOURCE_DOES_NOT_EXIST"),
        ({"run_id": NOBODY, "path": "x"}, 404, "RESOURCE_DOES_NOT_EXIST"),
        ({"run_id": run_id, "path": "a"}, 400, "INVALID_PARAMETER_VALUE"),
        ({"run_id": run_id, "path": "../x"}, 400, "INVALID_PARAMETER_VALUE"),
        ({"run_id": run_id, "path": "%2e%2e/x"}, 400, "INVALID_PARAMETER_VALUE"),
        ({"run_id": run_id}, 400, "INVALID_PARAMETER_VALUE"),
        ({"path": "x"}, 400, "INVALID_PARAMETER_VALUE"),
    ):
        refused = rest.get("/get-artifact", params=params)
        assert (refused.status_code, refused.json()["error_code"]) == (status, code)


def test_a_page_sends_a_small_file(rest: Rest, proxied: Proxied, run_id: str) -> None:
    asked = {"run_uuid": run_id, "path": "a/b.txt"}
    assert rest.post(UPLOAD, params=asked, content=b"text").status_code == 200
    assert proxied.get(f"0/{run_id}/artifacts/a/b.txt").body == b"text"
    limit = 10 * 1024 * 1024
    assert rest.post(UPLOAD, params=asked, content=bytes(limit)).status_code == 200
    for params, content, text in (
        (asked, bytes(limit + 1), "Artifact size is too large. Max size is 10MB."),
        (asked, b"", "Request must specify data."),
        ({"run_uuid": run_id}, b"x", "'path'"),
        ({"path": "x"}, b"x", "'run_id'"),
        ({**asked, "path": "../x"}, b"x", "Invalid path"),
    ):
        refused = rest.post(UPLOAD, params=params, content=content)
        assert (refused.status_code, refused.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
        assert text in refused.json()["message"]


def test_urls_of_s3(rest: Rest, proxied: Proxied, run_id: str) -> None:
    data = os.urandom(1000)
    proxied.put(f"0/{run_id}/artifacts/a", data)
    sign = "artifacts/presigned-download-url"
    signed = rest.tell(sign, run_id=run_id, path="a", expiration=60)
    assert signed["file_size"] == 1000
    with urlopen(Request(signed["presigned_url"], headers=signed["headers"])) as answer:
        assert answer.read() == data
    for expiration in (0, -1, 604_801):
        refused = rest.refused(
            "artifacts/presigned-download-url", run_id=run_id, path="a", expiration=expiration
        )
        assert refused[:2] == (400, "INVALID_PARAMETER_VALUE")
        assert "'expiration'" in refused[2]
    assert rest.refused(sign, run_id=run_id, path="x")[0] == 404
    # Nothing would say that such an upload has ended.
    assert rest.refused("artifacts/presigned-upload-url", run_id=run_id, path="x")[:2] == (
        400,
        "INVALID_PARAMETER_VALUE",
    )


def test_artifacts_of_a_model(rest: Rest, proxied: Proxied) -> None:
    model_id = rest.tell("logged-models", experiment_id="0", name="m")["model"]["info"]["model_id"]
    root = f"0/models/{model_id}/artifacts"
    proxied.put(f"{root}/MLmodel", b"flavors:")
    proxied.put(f"{root}/data/model.pkl", b"pickled")
    path = f"logged-models/{model_id}/artifacts"
    assert rest.ask(f"{path}/directories") == {
        "root_uri": f"mlflow-artifacts:/{root}",
        "files": [
            {"path": "MLmodel", "is_dir": False, "file_size": 8},
            {"path": "data", "is_dir": True},
        ],
    }
    assert rest.ask(f"{path}/directories", artifact_directory_path="data")["files"] == [
        {"path": "data/model.pkl", "is_dir": False, "file_size": 7}
    ]
    ajax = f"/ajax-api/2.0/mlflow/{path}/files"
    got = rest.get(ajax, params={"artifact_file_path": "data/model.pkl"})
    assert (got.status_code, got.content) == (200, b"pickled")
    assert rest.get(ajax, params={"artifact_file_path": "x"}).status_code == 404
    assert rest.get(ajax, params={"artifact_file_path": "../MLmodel"}).status_code == 400
    assert rest.get(ajax).status_code == 400
    assert rest.refused("logged-models/m-x/artifacts/directories", "GET")[0] == 404


def test_artifacts_that_are_elsewhere_are_not_served(rest: Rest) -> None:
    experiment_id = rest.tell("experiments/create", name="elsewhere", artifact_location="s3://bucket/x")[
        "experiment_id"
    ]
    run_id = rest.tell("runs/create", experiment_id=experiment_id)["run"]["info"]["run_id"]
    status, code, message = rest.refused("artifacts/list", "GET", run_id=run_id)
    assert (status, code) == (400, "INVALID_PARAMETER_VALUE")
    assert "s3://bucket/x" in message
