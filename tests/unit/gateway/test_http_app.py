"""The door as an app: where endpoints are found, who may come in, and what becomes of errors."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any, cast

import httpx
import pytest
from msgspec import Struct
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from rekam_gateway.http.app import Door, build_app
from rekam_gateway.http.backend import Backend
from rekam_gateway.http.endpoints import Endpoints
from rekam_gateway.http.errors import Coded
from rekam_gateway.http.wire import Text
from rekam_runtime.errors import (
    AlreadyExists,
    DeadlineExceeded,
    FailedPrecondition,
    Forbidden,
    Invalid,
    NotFound,
    Quarantine,
    Refused,
    RekamError,
    Retry,
    SlowDown,
    Unsupported,
)

# No endpoint here asks a service.
NOTHING = cast(Backend, None)


class Thing(Struct):
    id: Text
    key: Text
    value: str = ""


class Said(Struct):
    said: str


def client_of(app: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost")


def raising(error: Exception, **more: Any) -> Door:
    endpoints = Endpoints()

    @endpoints.post("mlflow/things/fail", **more)
    async def fail(backend: Backend, asked: Thing) -> None:
        raise error

    return Door(NOTHING, endpoints, Starlette())


async def refusal(door: Door) -> tuple[int, str, str]:
    async with client_of(door) as client:
        answer = await client.post("/api/2.0/mlflow/things/fail", json={"id": "i", "key": "k*", "value": "v"})
    error = answer.json()
    return answer.status_code, error["error_code"], error["message"]


@pytest.fixture
async def door() -> AsyncIterator[httpx.AsyncClient]:
    endpoints = Endpoints()

    @endpoints.serve("mlflow/things/{id}/keys/{key:path}", ["GET", "DELETE"])
    async def by_path(backend: Backend, asked: Thing) -> Said:
        return Said(f"{asked.id} {asked.key} {asked.value}")

    @endpoints.get("mlflow/things/first", version="3.0", ajax_only=True)
    async def first(backend: Backend, asked: Thing) -> Said:
        return Said("first")

    @endpoints.raw("/bytes", ["PUT"])
    async def as_they_are(backend: Backend, request: Any) -> PlainTextResponse:
        return PlainTextResponse(await request.body())

    async with client_of(Door(NOTHING, endpoints, Starlette())) as client:
        yield client


async def test_fields_come_from_the_path_and_from_the_query_or_the_body(door: httpx.AsyncClient) -> None:
    for root in ("/api/2.0", "/ajax-api/2.0"):
        path = f"{root}/mlflow/things/a/keys/b/c"
        assert (await door.get(path)).json() == {"said": "a b/c "}
        assert (await door.get(path, params={"value": "v", "id": "x"})).json() == {"said": "a b/c v"}
        assert (await door.request("DELETE", path, json={"value": "v"})).json() == {"said": "a b/c v"}


async def test_an_endpoint_is_where_it_is_declared_and_nowhere_else(door: httpx.AsyncClient) -> None:
    query = {"id": "i", "key": "k"}
    assert (await door.get("/ajax-api/3.0/mlflow/things/first", params=query)).status_code == 200
    assert (await door.get("/api/3.0/mlflow/things/first", params=query)).status_code == 404
    assert (await door.get("/ajax-api/2.0/mlflow/things/first", params=query)).status_code == 404
    assert (await door.put("/bytes", content=b"\x00{")).content == b"\x00{"
    wrong = await door.post("/api/2.0/mlflow/things/a/keys/b", json={})
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "GET, DELETE")


async def test_workspaces_are_said_not_to_be_there(door: httpx.AsyncClient) -> None:
    headers = {"x-mlflow-workspace": "mine"}
    answer = await door.get("/api/2.0/mlflow/things/a/keys/b", headers=headers)
    assert (answer.status_code, answer.json()["error_code"]) == (400, "FEATURE_DISABLED")
    assert (await door.get("/api/2.0/mlflow/things/a/keys/b", headers=dict.fromkeys(headers, ""))).is_success


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        (Invalid, 400, "INVALID_PARAMETER_VALUE"),
        (NotFound, 404, "RESOURCE_DOES_NOT_EXIST"),
        (AlreadyExists, 400, "RESOURCE_ALREADY_EXISTS"),
        (FailedPrecondition, 400, "INVALID_PARAMETER_VALUE"),
        (Forbidden, 403, "PERMISSION_DENIED"),
        (Refused, 400, "INVALID_PARAMETER_VALUE"),
        (Unsupported, 501, "NOT_IMPLEMENTED"),
        (SlowDown, 429, "RESOURCE_EXHAUSTED"),
        (Retry, 503, "TEMPORARILY_UNAVAILABLE"),
        (DeadlineExceeded, 504, "DEADLINE_EXCEEDED"),
        (Quarantine, 500, "DATA_LOSS"),
        (RekamError, 500, "INTERNAL_ERROR"),
    ],
)
async def test_errors_have_mlflows_codes(kind: Callable[[str], RekamError], status: int, code: str) -> None:
    assert await refusal(raising(kind("so it is"))) == (status, code, "so it is")


async def test_an_endpoint_may_have_codes_of_its_own() -> None:
    door = raising(FailedPrecondition("gone"), codes={FailedPrecondition: "INVALID_STATE"})
    assert await refusal(door) == (400, "INVALID_STATE", "gone")
    assert await refusal(raising(Coded("BAD_REQUEST", 418, "no"))) == (418, "BAD_REQUEST", "no")


async def test_a_fault_of_ours_says_nothing_of_itself() -> None:
    status, code, message = await refusal(raising(ZeroDivisionError("secret")))
    assert (status, code) == (500, "INTERNAL_ERROR")
    assert "secret" not in message


@pytest.mark.parametrize(
    ("error", "message"),
    [
        # By the request's name and value.
        (
            Invalid("names may not", field="tags[0].key"),
            "Invalid value \"k*\" for parameter 'key' supplied: Names may not",
        ),
        (Invalid("is long", field="value"), "Invalid value \"v\" for parameter 'value' supplied: Is long"),
        # Texts of MLflow's own stand as they are, and so does what the request does not have.
        (
            Invalid("Changing param values is not allowed.", field="value"),
            "Changing param values is not allowed.",
        ),
        (Invalid("'latest' is reserved.", field="value"), "'latest' is reserved."),
        (Invalid("odd", field="other[3].part"), "odd"),
        (Invalid("unknown", field="page_token"), "Invalid page token, unknown"),
        (NotFound("no such key", field="key"), "no such key"),
    ],
)
async def test_a_refused_field_is_said_in_the_requests_terms(error: RekamError, message: str) -> None:
    assert (await refusal(raising(error, renamed={"tags[0].": ""})))[2] == message


async def test_a_prefix_stands_in_front_of_all_and_probes_may_leave_it_out() -> None:
    async def health(_: object) -> PlainTextResponse:
        return PlainTextResponse("OK")

    app = build_app(NOTHING, [Route("/health", health)], prefix="/rekam/")
    async with client_of(app) as client:
        for path in ("/rekam/version", "/rekam/health", "/health", "/rekam/api/3.0/mlflow/nothing"):
            status = (await client.get(path)).status_code
            assert status == (404 if path.endswith("nothing") else 200), path
        for path in ("/rekamversion", "/rekam", "/other/version"):
            assert (await client.get(path)).json()["error_code"] == "ENDPOINT_NOT_FOUND"


async def test_hosts_and_origins_are_those_that_were_configured() -> None:
    app = build_app(NOTHING, [], hosts=["gateway"], origins=["https://lab.example"])
    path = "/api/3.0/mlflow/nothing"
    async with client_of(app) as client:
        assert (await client.get(path, headers={"host": "gateway:5000"})).status_code == 404
        assert (await client.get(path, headers={"host": "other:5000"})).status_code == 403
        # Reads are the browser's to keep from a page.
        for origin, status in (("https://lab.example", 404), ("https://other.example", 403), ("null", 403)):
            assert (await client.post(path, headers={"origin": origin})).status_code == status
        assert (await client.get(path, headers={"origin": "https://other.example"})).status_code == 404
    async with client_of(build_app(NOTHING, [], origins=["*"])) as client:
        assert (await client.post(path, headers={"origin": "https://any.example"})).status_code == 404
