"""What a server says of itself, as MLflow's clients ask for it."""

from __future__ import annotations

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from rekam_gateway.http.backend import Backend
from rekam_gateway.http.endpoints import Empty, Endpoints

# Of MLflow's API that is spoken here: clients choose by it how they send spans.
MLFLOW_VERSION = "3.11.1"

endpoints = Endpoints()


class ServerInfo(Struct):
    store_type: str
    workspaces_enabled: bool
    artifact_serving_enabled: bool
    # Newer clients send what is large to S3 themselves then.
    multipart_uploads_enabled: bool
    multipart_downloads_enabled: bool


@endpoints.raw("/version", ["GET"])
async def version(backend: Backend, request: Request) -> Response:
    return PlainTextResponse(MLFLOW_VERSION)


@endpoints.get("mlflow/server-info", version="3.0")
async def server_info(backend: Backend, asked: Empty) -> ServerInfo:
    direct = backend.stored is not None and backend.stored.direct
    return ServerInfo(
        store_type="SqlStore",
        workspaces_enabled=False,
        artifact_serving_enabled=backend.stored is not None,
        multipart_uploads_enabled=direct,
        multipart_downloads_enabled=direct,
    )
