"""Nonsense, and too much of it: refused with a reason, and what comes beside it is served."""

from __future__ import annotations

import json
import random
import socket
from collections.abc import Iterator

import httpx
import pytest

from rekam_gateway.http.app import ENDPOINTS
from rekam_gateway.http.body import MAX_BYTES
from tests.support.mlflow_rest import Rest

JSON = {"content-type": "application/json"}
CREATE = "/api/2.0/mlflow/experiments/create"
# What takes JSON, each at one of its paths.
BODIES = [
    (
        endpoint.paths()[0].replace("{model_id}", "m-0").partition("{")[0]
        + "x" * ("{artifact" in endpoint.path),
        method,
    )
    for endpoint in ENDPOINTS
    for method in endpoint.methods
    if method != "GET" and not endpoint.raw
]


def nested(depth: int) -> bytes:
    return b'{"name": ' + b"[" * depth + b"]" * depth + b"}"


@pytest.mark.parametrize(("path", "method"), BODIES)
def test_random_bytes_are_refused(door: Rest, path: str, method: str) -> None:
    random_bytes = random.Random(path)
    for size in (0, 1, 7, 100, 10_000):
        answer = door.request(method, path, content=random_bytes.randbytes(size), headers=JSON)
        # What needs no fields is done with none.
        assert answer.status_code in (200, 400, 404, 501), answer.text


@pytest.mark.parametrize("depth", [10, 900, 990, 1_000, 100_000])
def test_json_may_be_as_deep_as_it_likes(door: Rest, depth: int) -> None:
    answer = door.post(CREATE, content=nested(depth), headers=JSON)
    assert (answer.status_code, answer.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")


@pytest.mark.parametrize(
    "body",
    [
        '{"name": "\\ud800"}',
        '{"name": "a\\u0000b"}',
        '{"name": 1' + "0" * 5_000 + "}",
        '{"name": 1e999}',
        '{"name": -Infinity}',
        json.dumps({"name": "x" * 1_000_000}),
        json.dumps({"name": "x", "tags": [{"key": "k" * 1_000_000}]}),
        json.dumps({"name": "x", "tags": [{"key": f"k{n}", "value": ""} for n in range(1_001)]}),
    ],
)
def test_values_that_cannot_be_stored_are_refused(door: Rest, body: str) -> None:
    for encoding in ("utf-8", "utf-16", "utf-32"):
        answer = door.post(CREATE, content=body.encode(encoding), headers=JSON)
        assert (answer.status_code, answer.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
        assert len(answer.text) < 5_000


@pytest.mark.parametrize(
    "query", ["%ff", "%", "%u1234", "a%00b", "🎲", "1&experiment_id=2", "x" * 10_000, "-1", "0x1", "٣"]
)
def test_a_query_may_be_anything(door: Rest, query: str) -> None:
    answer = door.get(f"/api/2.0/mlflow/experiments/get?experiment_id={query}")
    assert answer.status_code in (400, 404), answer.text
    assert answer.json()["error_code"]


@pytest.mark.parametrize("path", ["/%ff", "/%00", "//", "/..%2f..", "/" + "x" * 9_000])
def test_a_path_may_be_anything(door: Rest, path: str) -> None:
    answer = door.get(str(door.base_url).rstrip("/") + path)
    assert (answer.status_code, answer.json()["error_code"]) == (404, "ENDPOINT_NOT_FOUND")


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "HEAD"])
def test_a_method_that_is_not_served(door: Rest, method: str) -> None:
    answer = door.request(method, CREATE)
    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST"


def test_a_head_is_a_get_without_its_body(door: Rest) -> None:
    path = "/api/2.0/mlflow/experiments/get?experiment_id=0"
    head, get = door.head(path), door.get(path)
    assert (head.status_code, head.headers["content-length"]) == (200, get.headers["content-length"])
    assert head.content == b""


def test_a_body_that_is_too_large_is_refused_before_it_is_sent(door: Rest) -> None:
    with socket.create_connection((door.base_url.host, door.base_url.port or 80), timeout=30) as connection:
        connection.sendall(
            f"POST {CREATE} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            f"Content-Length: {MAX_BYTES + 1}\r\n\r\n{{".encode()
        )
        assert connection.recv(1_000).startswith(b"HTTP/1.1 413 ")


def test_a_body_without_a_length_is_bounded_too(door: Rest) -> None:
    def pieces() -> Iterator[bytes]:
        yield b'{"name": "'
        for _ in range(MAX_BYTES // 65_536 + 1):
            yield b"x" * 65_536

    try:
        answer = door.post(CREATE, content=pieces(), headers=JSON)
    except (httpx.WriteError, httpx.ReadError):
        return  # The connection was closed on the rest.
    assert (answer.status_code, answer.json()["error_code"]) == (413, "BAD_REQUEST")


def test_what_is_no_http_harms_nobody(door: Rest) -> None:
    for nonsense in (
        b"\x00\xff" * 100,
        b"GET\r\n\r\n",
        b"POST / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : \r\n" * 9,
    ):
        with socket.create_connection(
            (door.base_url.host, door.base_url.port or 80), timeout=30
        ) as connection:
            connection.sendall(nonsense)
            connection.shutdown(socket.SHUT_WR)
            connection.recv(1_000)
    assert door.ask("experiments/get", experiment_id="0")["experiment"]["name"] == "Default"
