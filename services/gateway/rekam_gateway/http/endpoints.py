"""What a module declares: paths, with the handlers that answer them.

    class GetExperiment(Struct):
        experiment_id: Text

    endpoints = Endpoints()

    @endpoints.get("mlflow/experiments/get")
    async def get_experiment(backend: Backend, asked: GetExperiment) -> ExperimentAnswer: ...

The types of `asked` and of the answer are the fields of request and response: read and checked
by `wire.py`, published by `openapi.py`. A path is served under /api and again under /ajax-api.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from rekam_gateway.http.backend import Backend
from rekam_runtime.errors import RekamError


class Empty(Struct):
    """A request or response without fields."""


Handler = Callable[[Backend, Any], Awaitable[Any]]
RawHandler = Callable[[Backend, Request], Awaitable[Response]]
_Handler = TypeVar("_Handler", bound=Callable[..., Awaitable[Struct | None]])
_RawHandler = TypeVar("_RawHandler", bound=RawHandler)


@dataclass(frozen=True)
class Endpoint:
    """One path and its methods.

    path: below the version ("mlflow/runs/get", "mlflow/logged-models/{model_id}"); with a slash in
        front it is served as it stands, and nowhere else.
    request, response: their fields; of a raw handler, which reads and answers by itself, Empty.
    renamed: beginnings of the service's field paths, as this request has them ({"tags[0].key": "key"}).
    codes: MLflow's, where errors of a type have another one here.
    """

    path: str
    methods: Sequence[str]
    handler: Handler
    request: type[Struct] = Empty
    response: type[Struct] = Empty
    raw: bool = False
    version: str = "2.0"
    ajax_only: bool = False
    renamed: Mapping[str, str] = field(default_factory=dict)
    codes: Mapping[type[RekamError], str] = field(default_factory=dict)

    def paths(self) -> list[str]:
        """Where it is served."""
        if self.path.startswith("/"):
            return [self.path]
        roots = ("ajax-api",) if self.ajax_only else ("api", "ajax-api")
        return [f"/{root}/{self.version}/{self.path}" for root in roots]


class Endpoints:
    """A module's endpoints, gathered by decorators."""

    def __init__(self) -> None:
        self._gathered: list[Endpoint] = []

    def __iter__(self) -> Iterator[Endpoint]:
        return iter(self._gathered)

    def get(self, path: str, **more: Any) -> Callable[[_Handler], _Handler]:
        return self.serve(path, ["GET"], **more)

    def post(self, path: str, **more: Any) -> Callable[[_Handler], _Handler]:
        return self.serve(path, ["POST"], **more)

    def patch(self, path: str, **more: Any) -> Callable[[_Handler], _Handler]:
        return self.serve(path, ["PATCH"], **more)

    def delete(self, path: str, **more: Any) -> Callable[[_Handler], _Handler]:
        return self.serve(path, ["DELETE"], **more)

    def serve(self, path: str, methods: Sequence[str], **more: Any) -> Callable[[_Handler], _Handler]:
        """Further arguments are those of `Endpoint`."""

        def gather(handler: _Handler) -> _Handler:
            # The handlers' annotations are the one place where requests and answers are named.
            hints = typing.get_type_hints(handler)
            _, asked = inspect.signature(handler).parameters
            answer = hints["return"]
            response = Empty if answer is type(None) else answer
            self._gathered.append(Endpoint(path, methods, handler, hints[asked], response, **more))
            return handler

        return gather

    def raw(self, path: str, methods: Sequence[str], **more: Any) -> Callable[[_RawHandler], _RawHandler]:
        """For bytes: the handler gets the request unread, and gives the whole response."""

        def gather(handler: _RawHandler) -> _RawHandler:
            self._gathered.append(Endpoint(path, methods, handler, raw=True, **more))
            return handler

        return gather
