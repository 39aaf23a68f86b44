"""Artifacts of one run, logged model or version: lists, downloads, uploads by a page, urls of S3."""

from __future__ import annotations

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from rekam_gateway.http import proxied
from rekam_gateway.http.artifact_paths import below, root_of
from rekam_gateway.http.backend import Backend
from rekam_gateway.http.endpoints import Empty, Endpoints
from rekam_gateway.http.file_response import file_response
from rekam_gateway.http.model_versions import find_version
from rekam_gateway.http.objects import known_form
from rekam_gateway.http.proxied import ListedArtifact
from rekam_gateway.http.wire import Int64, Text, read_query
from rekam_proto.tracking.v1 import logged_model_pb2, run_pb2
from rekam_runtime.errors import Invalid

endpoints = Endpoints()

MOST_UPLOADED = 10 * 1024 * 1024
_EXPIRES_S = 900
_MOST_EXPIRES_S = 604_800


class ListArtifacts(Struct):
    run_id: Text
    path: str = ""
    page_token: str = ""


class Listing(Struct, omit_defaults=True):
    root_uri: str
    files: list[ListedArtifact] = []
    next_page_token: str = ""


@endpoints.get("mlflow/artifacts/list")
async def list_artifacts(backend: Backend, asked: ListArtifacts) -> Listing:
    return await _listing(backend, await _uri_of_run(backend, asked.run_id), asked.path, asked.page_token)


class ListModelArtifacts(Struct):
    model_id: Text
    artifact_directory_path: str = ""
    page_token: str = ""


@endpoints.get("mlflow/logged-models/{model_id}/artifacts/directories")
async def list_model_artifacts(backend: Backend, asked: ListModelArtifacts) -> Listing:
    uri = await _uri_of_model(backend, asked.model_id)
    return await _listing(backend, uri, asked.artifact_directory_path, asked.page_token)


class FileOfRun(Struct):
    run_id: Text
    path: Text


@endpoints.raw("/get-artifact", ["GET"], request=FileOfRun)
async def get_artifact(backend: Backend, request: Request) -> Response:
    asked = read_query(FileOfRun, request.query_params, {})
    path = below(root_of(await _uri_of_run(backend, asked.run_id)), asked.path)
    return await file_response(backend.artifacts.transfer, request, path)


class FileOfModel(Struct):
    model_id: Text
    artifact_file_path: Text


@endpoints.raw(
    "mlflow/logged-models/{model_id}/artifacts/files", ["GET"], ajax_only=True, request=FileOfModel
)
async def get_model_artifact(backend: Backend, request: Request) -> Response:
    asked = read_query(FileOfModel, request.query_params, request.path_params)
    path = below(root_of(await _uri_of_model(backend, asked.model_id)), asked.artifact_file_path)
    return await file_response(backend.artifacts.transfer, request, path)


class FileOfVersion(Struct):
    name: Text
    version: Text
    path: Text


@endpoints.raw("/model-versions/get-artifact", ["GET"], request=FileOfVersion)
async def get_version_artifact(backend: Backend, request: Request) -> Response:
    asked = read_query(FileOfVersion, request.query_params, {})
    version = await find_version(backend, asked.name, asked.version)
    return await file_response(
        backend.artifacts.transfer, request, below(root_of(version.location), asked.path)
    )


@endpoints.raw("mlflow/upload-artifact", ["POST"], ajax_only=True, request=FileOfRun, response=Empty)
async def upload_artifact(backend: Backend, request: Request) -> Response:
    """A small file, as MLflow's own pages send it."""
    asked = read_query(FileOfRun, request.query_params, {})
    length = request.headers.get("content-length")
    if length is None or int(length) == 0:
        raise Invalid("Request must specify data.")
    if int(length) > MOST_UPLOADED:
        raise Invalid("Artifact size is too large. Max size is 10MB.")
    path = below(root_of(await _uri_of_run(backend, asked.run_id)), asked.path)
    await proxied.receive(backend.artifacts, request, path)
    return Response(b"{}", media_type="application/json")


class PresignUpload(Struct):
    run_id: Text
    path: Text
    expiration: Int64 = _EXPIRES_S


class PresignedUpload(Struct):
    presigned_url: str
    headers: dict[str, str]


@endpoints.post("mlflow/artifacts/presigned-upload-url")
async def presign_upload(backend: Backend, asked: PresignUpload) -> PresignedUpload:
    await _uri_of_run(backend, asked.run_id)
    raise Invalid(
        "A url to upload to is not given out for artifacts that this server keeps: nothing would say "
        "that the upload has ended. Send the file to it, or begin a multipart upload."
    )


class PresignDownload(Struct):
    run_id: Text
    path: Text
    expiration: Int64 = _EXPIRES_S


class PresignedDownload(Struct):
    presigned_url: str
    headers: dict[str, str]
    file_size: int


@endpoints.post("mlflow/artifacts/presigned-download-url")
async def presign_download(backend: Backend, asked: PresignDownload) -> PresignedDownload:
    if not 1 <= asked.expiration <= _MOST_EXPIRES_S:
        raise Invalid(f"must be 1 to {_MOST_EXPIRES_S} seconds", field="expiration")
    path = below(root_of(await _uri_of_run(backend, asked.run_id)), asked.path)
    signed = await proxied.signed_download(backend, path, asked.expiration)
    return PresignedDownload(signed.url, dict(signed.headers), signed.file.size)


async def _listing(backend: Backend, uri: str, path: str, page_token: str) -> Listing:
    root = root_of(uri)
    folder = below(root, path).rstrip("/")
    files, next_page_token = await proxied.one_page(backend.artifacts, folder, root, page_token)
    return Listing(uri, files, next_page_token)


async def _uri_of_run(backend: Backend, run_id: str) -> str:
    run = await backend.runs.GetRun(run_pb2.GetRunRequest(run_id=known_form(run_id)))
    return run.artifact_uri


async def _uri_of_model(backend: Backend, model_id: str) -> str:
    model = await backend.logged_models.GetLoggedModel(
        logged_model_pb2.GetLoggedModelRequest(model_id=model_id)
    )
    return model.artifact_uri
