"""The door as an OpenAPI document, made of what the endpoints declare."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from rekam_gateway.http.backend import Backend
from rekam_gateway.http.endpoints import Empty, Endpoint
from rekam_gateway.http.errors import Refusal
from rekam_gateway.http.server import MLFLOW_VERSION

_ABOUT = (
    "MLflow's REST API as Rekam speaks it. What is under /api is served under /ajax-api, too. Integers may "
    'also come as strings, enums as numbers, and doubles as "NaN", "Infinity" or "-Infinity".'
)
_JSON = "application/json"
_BYTES = "application/octet-stream"
_PLACEHOLDER = re.compile(r"{(\w+)(?::\w+)?}")
_MODULES = re.compile(r"rekam_gateway\.http\.")

_Schema = dict[str, Any]


def published(endpoints: Sequence[Endpoint]) -> Endpoint:
    """The endpoint that gives the document of these, and of itself."""

    async def openapi(backend: Backend, request: Request) -> Response:
        return Response(document, media_type=_JSON)

    own = Endpoint("mlflow/openapi.json", ["GET"], openapi, raw=True)
    document = msgspec.json.encode(describe([*endpoints, own]))
    return own


def describe(endpoints: Sequence[Endpoint]) -> _Schema:
    types = [Refusal, *(kind for each in endpoints for kind in (each.request, each.response))]
    references, components = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    refused, *of_endpoints = references
    paths: dict[str, _Schema] = {}
    for index, endpoint in enumerate(endpoints):
        fields = components[of_endpoints[2 * index]["$ref"].rpartition("/")[2]]
        answers = {
            "200": {"description": "Done", "content": _answer(endpoint, of_endpoints[2 * index + 1])},
            "default": {"description": "Refused", "content": {_JSON: {"schema": refused}}},
        }
        operations = paths.setdefault(_PLACEHOLDER.sub(r"{\1}", endpoint.paths()[0]), {})
        for method in endpoint.methods:
            operations[method.lower()] = {**_request(endpoint, method, fields), "responses": answers}
    document = {
        "openapi": "3.1.0",
        "info": {"title": "Rekam", "version": MLFLOW_VERSION, "description": _ABOUT},
        "paths": paths,
        "components": {"schemas": components},
    }
    # Where two modules have a type of one name, the schema's name has the module's.
    return dict(msgspec.json.decode(_MODULES.sub("", msgspec.json.encode(document).decode())))


def _request(endpoint: Endpoint, method: str, fields: _Schema) -> _Schema:
    """Where an operation's fields are: in the path, and then in the query or in the body."""
    placed = _PLACEHOLDER.findall(endpoint.path)
    rest = {name: schema for name, schema in fields["properties"].items() if name not in placed}
    required = [name for name in fields["required"] if name in rest]
    operation: _Schema = {
        "parameters": [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
            for name in placed
        ]
    }
    if method == "GET" or (endpoint.raw and endpoint.request is not Empty):
        operation["parameters"] += [
            {"name": name, "in": "query", "required": name in required, "schema": schema}
            for name, schema in rest.items()
        ]
    elif not endpoint.raw:
        schema = {"type": "object", "properties": rest, "required": required}
        operation["requestBody"] = {"content": {_JSON: {"schema": schema}}, "required": bool(required)}
    if endpoint.raw and method in ("PUT", "POST"):
        operation["requestBody"] = {"content": {_BYTES: {}}}
    return operation


def _answer(endpoint: Endpoint, schema: _Schema) -> _Schema:
    if endpoint.raw and endpoint.response is Empty:
        return {"*/*": {}}
    return {_JSON: {"schema": schema}}
