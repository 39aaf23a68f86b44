"""What holds for every endpoint: what the server says of itself, unknown paths, hosts and origins, bodies."""

from __future__ import annotations

import pytest

from tests.support.mlflow_rest import Rest

CREATE = "/api/2.0/mlflow/experiments/create"


def test_the_server_says_what_it_is(door: Rest) -> None:
    assert door.get("/health").text == "OK"
    assert door.get("/version").text == "3.11.1"
    info = door.get("/api/3.0/mlflow/server-info").json()
    assert info == {
        "store_type": "SqlStore",
        "workspaces_enabled": False,
        "artifact_serving_enabled": True,
        "multipart_uploads_enabled": True,
        "multipart_downloads_enabled": True,
    }
    assert door.get("/ready").json() == {"ready": True, "missing": []}


@pytest.mark.parametrize(
    "path", ["/nowhere", "/api/2.0/mlflow/runs/nothing", "/api/3.0/mlflow/experiments/get"]
)
def test_what_is_not_served_is_a_json_404(door: Rest, path: str) -> None:
    for method in ("GET", "POST", "DELETE"):
        answer = door.request(method, path)
        assert (answer.status_code, answer.json()["error_code"]) == (404, "ENDPOINT_NOT_FOUND")


def test_a_wrong_method_is_a_json_405(door: Rest) -> None:
    answer = door.get(CREATE)
    assert (answer.status_code, answer.json()["error_code"]) == (405, "ENDPOINT_NOT_FOUND")
    assert answer.headers["allow"] == "POST"


def test_foreign_hosts_and_origins_are_refused(rest: Rest) -> None:
    answer = rest.get("/api/3.0/mlflow/server-info", headers={"host": "evil.example"})
    assert answer.status_code == 403
    assert answer.text == "Invalid Host header - possible DNS rebinding attack detected"
    assert rest.get("/version", headers={"host": "evil.example"}).status_code == 200
    answer = rest.post(CREATE, json={"name": "a"}, headers={"origin": "http://evil.example"})
    assert (answer.status_code, answer.text) == (403, "Cross-origin request blocked")
    for origin in ("http://localhost:3000", str(rest.base_url).rstrip("/")):
        answer = rest.post(CREATE, json={"name": origin}, headers={"origin": origin})
        assert answer.status_code == 200
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "SAMEORIGIN"


def test_browsers_of_this_machine_may_ask_before_they_send(door: Rest) -> None:
    preflight = {"origin": "http://localhost:3000", "access-control-request-method": "POST"}
    answer = door.options(CREATE, headers=preflight)
    assert answer.headers["access-control-allow-origin"] == "http://localhost:3000"


def test_a_body_must_say_that_it_is_json(rest: Rest) -> None:
    answer = rest.post(CREATE, content=b'{"name": "a"}')
    assert answer.json()["message"] == "Bad Request. Content-Type header is missing."
    answer = rest.post(CREATE, data={"name": "a"})
    assert answer.json()["message"] == "Bad Request. Content-Type must be one of ['application/json']."
    json = {"content-type": "application/json; charset=utf-8"}
    assert rest.post(CREATE, content=b'{"name": "a"}', headers=json).status_code == 200


@pytest.mark.parametrize("body", [b"", b"{", b"[1]", b"null", b"\xff\xfe\x00", b"[" * 100_000])
def test_what_cannot_be_read_counts_as_empty(door: Rest, body: bytes) -> None:
    answer = door.post(CREATE, content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["message"].startswith("Missing value for required parameter 'name'.")


def test_a_body_that_was_encoded_twice_is_read(rest: Rest) -> None:
    answer = rest.post(CREATE, json='{"name": "twice"}')
    assert answer.status_code == 200
    assert (
        rest.ask("experiments/get", experiment_id=answer.json()["experiment_id"])["experiment"]["name"]
        == "twice"
    )
