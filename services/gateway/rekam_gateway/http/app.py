"""The door as one ASGI app: every module's endpoints, behind the checks of host and origin.

Paths are looked up, not tried one after another: there are many, and some are asked often.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import grpc.aio
import structlog
from msgspec import Struct
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, compile_path
from starlette.types import ASGIApp, Receive, Scope, Send

from rekam_gateway.http import (
    artifacts,
    datasets,
    experiments,
    histories,
    inputs_and_outputs,
    logged_models,
    model_versions,
    points,
    proxied,
    registered_models,
    runs,
    server,
    webhooks,
)
from rekam_gateway.http.backend import Backend
from rekam_gateway.http.body import Bodies
from rekam_gateway.http.endpoints import Endpoint
from rekam_gateway.http.errors import answer, in_terms_of, refusal
from rekam_gateway.http.openapi import published
from rekam_gateway.http.origins import OriginCheck
from rekam_gateway.http.wire import encode, read_body, read_query
from rekam_runtime.errors import Invalid, RekamError
from rekam_runtime.hosts import HostCheck
from rekam_runtime.rpc.status import error_from_rpc

# Each declares its endpoints.
NOUNS = (
    server,
    experiments,
    runs,
    points,
    histories,
    proxied,
    artifacts,
    inputs_and_outputs,
    datasets,
    logged_models,
    registered_models,
    model_versions,
    webhooks,
)
ENDPOINTS: list[Endpoint] = [endpoint for noun in NOUNS for endpoint in noun.endpoints]
ENDPOINTS.append(published(ENDPOINTS))

_JSON = "application/json"
_NO_WORKSPACES = "Workspace APIs are not available: workspaces are not enabled on this server"

log = structlog.get_logger(__name__)


def build_app(
    backend: Backend,
    ops: Sequence[BaseRoute],
    *,
    hosts: Sequence[str] = (),
    origins: Sequence[str] = (),
    prefix: str = "",
) -> ASGIApp:
    """ops: routes of the process, served on the same port.

    hosts: patterns of Host headers beyond loopback and private addresses.
    origins: of web pages that may write, beyond loopback.
    prefix: a path in front of everything, as a proxy may leave it there.
    """
    door = Door(backend, ENDPOINTS, Starlette(routes=ops))
    return HostCheck(OriginCheck(_Prefixed(door, prefix), origins), hosts)


class Door:
    """Hands each request to its endpoint."""

    def __init__(self, backend: Backend, endpoints: Iterable[Endpoint], ops: Starlette) -> None:
        self._backend = backend
        self._ops = ops
        self._ops_paths = {getattr(route, "path", "") for route in ops.routes}
        self._bodies = Bodies()
        self._exact: dict[str, dict[str, Endpoint]] = {}
        templates: dict[str, dict[str, Endpoint]] = {}
        for endpoint in endpoints:
            for path in endpoint.paths():
                served = templates if "{" in path else self._exact
                served.setdefault(path, {}).update(dict.fromkeys(endpoint.methods, endpoint))
        # A name in a path may have any character, also the end of a line.
        self._templates: list[tuple[re.Pattern[str], dict[str, Endpoint]]] = [
            (re.compile(compile_path(path)[0].pattern, re.DOTALL), methods)
            for path, methods in templates.items()
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in self._ops_paths:
            response = await self._respond(Request(scope, receive))
            await response(scope, receive, send)
        else:
            await self._ops(scope, receive, send)

    async def _respond(self, request: Request) -> Response:
        if request.headers.get("x-mlflow-workspace"):
            return answer(400, "FEATURE_DISABLED", _NO_WORKSPACES)
        methods, path = self._find(request.scope["path"])
        if methods is None:
            return answer(404, "ENDPOINT_NOT_FOUND", f"{request.scope['path']} is not served")
        method = "GET" if request.method == "HEAD" else request.method
        endpoint = methods.get(method)
        if endpoint is None:
            allowed = {"Allow": ", ".join(methods)}
            return answer(405, "ENDPOINT_NOT_FOUND", f"{method} is not served here", allowed)
        try:
            request.scope["path_params"] = path
            if endpoint.raw:
                response: Response = await endpoint.handler(self._backend, request)
                return response
            return await self._carry_out(endpoint, request, path)
        except RekamError as error:
            return refusal(error, endpoint.codes)
        except grpc.aio.AioRpcError as error:
            return refusal(error_from_rpc(error), endpoint.codes)
        except Exception:
            log.exception("a request failed", path=request.url.path)
            return answer(500, "INTERNAL_ERROR", "the request failed, the gateway's log says how")

    async def _carry_out(self, endpoint: Endpoint, request: Request, path: Mapping[str, str]) -> Response:
        if request.method in ("POST", "PUT"):
            _check_content_type(request)
        if request.method in ("GET", "HEAD") and request.scope["query_string"]:
            asked = read_query(endpoint.request, request.query_params, path)
            return await self._call(endpoint, asked)
        async with self._bodies.read(request) as body:
            return await self._call(endpoint, read_body(endpoint.request, body, path))

    async def _call(self, endpoint: Endpoint, asked: Struct) -> Response:
        try:
            answered = await endpoint.handler(self._backend, asked)
        except grpc.aio.AioRpcError as error:
            raise in_terms_of(asked, error_from_rpc(error), endpoint.renamed) from None
        except Invalid as error:
            raise in_terms_of(asked, error, endpoint.renamed) from None
        return Response(encode(answered) if answered is not None else b"{}", media_type=_JSON)

    def _find(self, path: str) -> tuple[dict[str, Endpoint] | None, dict[str, Any]]:
        found = self._exact.get(path)
        if found is not None:
            return found, {}
        for pattern, methods in self._templates:
            match = pattern.fullmatch(path)
            if match is not None:
                return methods, match.groupdict()
        return None, {}


def _check_content_type(request: Request) -> None:
    given = request.headers.get("content-type")
    if given is None:
        raise Invalid("Bad Request. Content-Type header is missing.")
    if given.partition(";")[0].strip().lower() != _JSON:
        raise Invalid(f"Bad Request. Content-Type must be one of {[_JSON]}.")


class _Prefixed:
    """Takes the prefix off; probes may leave it out."""

    def __init__(self, app: ASGIApp, prefix: str) -> None:
        self._app = app
        self._prefix = prefix.rstrip("/")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if self._prefix and path.startswith(f"{self._prefix}/"):
            raw_path = scope["raw_path"].removeprefix(self._prefix.encode())
            scope = {**scope, "path": path.removeprefix(self._prefix), "raw_path": raw_path}
        await self._app(scope, receive, send)
