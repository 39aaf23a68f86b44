"""mlflow-artifacts/*: the tree of all artifacts, as clients of a run with a proxied artifact uri use it."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import AsyncIterator

from msgspec import UNSET, Struct, UnsetType
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from rekam_gateway.http.artifact_paths import clean
from rekam_gateway.http.backend import Artifacts, Backend
from rekam_gateway.http.endpoints import Empty, Endpoints
from rekam_gateway.http.errors import Coded
from rekam_gateway.http.file_response import file_response
from rekam_gateway.http.wire import Int32, Text
from rekam_proto.artifacts.v1 import artifact_pb2
from rekam_runtime.errors import Invalid, Unsupported

endpoints = Endpoints()

# Clients compare these texts, and then send what they have through here.
NO_MULTIPART_UPLOAD = "Multipart upload is not supported for the current artifact repository"
NO_MULTIPART_DOWNLOAD = "Multipart download is not supported for the current artifact repository"
ACTOR = "http"

_PAGE = 10_000
_MOST_PARTS = 10_000
# A large file takes its time.
_UPLOAD_S = 24 * 3600
_CONTENT_DIGEST = re.compile(r"(?:^|,)\s*sha-256=:([^:]*):")


class ListArtifacts(Struct):
    path: str = ""


class ListedArtifact(Struct):
    """path: its last part alone, where all are listed; of a run or model, the path below its root."""

    path: str
    is_dir: bool
    file_size: int | UnsetType = UNSET


class Listing(Struct, omit_defaults=True):
    files: list[ListedArtifact] = []


@endpoints.get("mlflow-artifacts/artifacts")
async def list_artifacts(backend: Backend, asked: ListArtifacts) -> Listing:
    folder = clean(asked.path).rstrip("/")
    files: list[ListedArtifact] = []
    page_token = ""
    while True:
        page, page_token = await one_page(backend.artifacts, folder, folder, page_token)
        files += page
        if not page_token:
            return Listing(files)


async def one_page(
    artifacts: Artifacts, folder: str, root: str, page_token: str
) -> tuple[list[ListedArtifact], str]:
    """What lies in a folder, by paths below the root, and the next page's token."""
    answer = await artifacts.files.ListFiles(
        artifact_pb2.ListFilesRequest(path=folder, page_size=_PAGE, page_token=page_token)
    )
    below = len(root) + 1 if root else 0
    listed = [
        ListedArtifact(entry.folder.path[below:], is_dir=True)
        if entry.HasField("folder")
        else ListedArtifact(entry.file.path[below:], is_dir=False, file_size=entry.file.size)
        for entry in answer.entries
    ]
    return listed, answer.next_page_token


@endpoints.raw("mlflow-artifacts/artifacts/{artifact_path:path}", ["GET"])
async def download(backend: Backend, request: Request) -> Response:
    path = clean(request.path_params["artifact_path"])
    return await file_response(backend.artifacts.transfer, request, path)


@endpoints.raw("mlflow-artifacts/artifacts/{artifact_path:path}", ["PUT"])
async def upload(backend: Backend, request: Request) -> Response:
    path = clean(request.path_params["artifact_path"])
    await receive(backend.artifacts, request, path)
    return Response(b"{}", media_type="application/json")


async def receive(artifacts: Artifacts, request: Request, path: str) -> None:
    """Store a request's body as a file."""
    length = request.headers.get("content-length")
    await artifacts.transfer.store(
        path,
        _body(request),
        size=None if length is None else int(length),
        digest=_digest(request.headers.get("content-digest", "")),
        actor=ACTOR,
    )


async def _body(request: Request) -> AsyncIterator[bytes]:
    try:
        async for chunk in request.stream():
            yield chunk
    except ClientDisconnect:
        raise Coded("CANCELLED", 499, "the client went away") from None


def _digest(content_digest: str) -> str:
    """The SHA-256 of a Content-Digest (RFC 9530), in hex."""
    match = _CONTENT_DIGEST.search(content_digest)
    try:
        return base64.b64decode(match[1], validate=True).hex() if match else ""
    except binascii.Error:
        raise Invalid("Content-Digest must have the SHA-256 in base64") from None


class DeleteArtifacts(Struct):
    artifact_path: Text


@endpoints.delete("mlflow-artifacts/artifacts/{artifact_path:path}")
async def delete_artifacts(backend: Backend, asked: DeleteArtifacts) -> Empty:
    await backend.artifacts.files.DeleteFiles(
        artifact_pb2.DeleteFilesRequest(path=clean(asked.artifact_path), recursive=True, actor=ACTOR)
    )
    return Empty()


class CreateMultipart(Struct):
    """artifact_path: the folder. path: of the file, as the client's disk has it."""

    artifact_path: str
    path: Text
    num_parts: Int32


class Credential(Struct):
    url: str
    part_number: int
    headers: dict[str, str]


class CreatedMultipart(Struct):
    upload_id: str
    credentials: list[Credential]


@endpoints.post("mlflow-artifacts/mpu/create/{artifact_path:path}")
async def create_multipart(backend: Backend, asked: CreateMultipart) -> CreatedMultipart:
    artifacts = direct(backend, NO_MULTIPART_UPLOAD)
    name = re.split(r"[/\\]", asked.path)[-1]
    if not 1 <= asked.num_parts <= _MOST_PARTS:
        raise Invalid(f"must be 1 to {_MOST_PARTS}", field="num_parts")
    started = await artifacts.files.StartUpload(
        artifact_pb2.StartUploadRequest(
            path=clean(f"{asked.artifact_path.rstrip('/')}/{name}"),
            parts=asked.num_parts,
            sign=True,
            expires_s=_UPLOAD_S,
            actor=ACTOR,
        )
    )
    credentials = [Credential(part.url, part.number, dict(part.headers)) for part in started.parts]
    return CreatedMultipart(started.upload_id, credentials)


class UploadedPart(Struct):
    part_number: Int32
    etag: str
    url: str = ""


class CompleteMultipart(Struct):
    artifact_path: str
    path: Text
    upload_id: Text
    parts: list[UploadedPart]


@endpoints.post("mlflow-artifacts/mpu/complete/{artifact_path:path}")
async def complete_multipart(backend: Backend, asked: CompleteMultipart) -> Empty:
    artifacts = direct(backend, NO_MULTIPART_UPLOAD)
    parts = [artifact_pb2.Part(number=part.part_number, etag=part.etag) for part in asked.parts]
    await artifacts.files.CompleteUpload(
        artifact_pb2.CompleteUploadRequest(upload_id=asked.upload_id, parts=parts, actor=ACTOR)
    )
    return Empty()


class AbortMultipart(Struct):
    artifact_path: str
    path: Text
    upload_id: Text


@endpoints.post("mlflow-artifacts/mpu/abort/{artifact_path:path}")
async def abort_multipart(backend: Backend, asked: AbortMultipart) -> Empty:
    artifacts = direct(backend, NO_MULTIPART_UPLOAD)
    request = artifact_pb2.AbortUploadRequest(upload_id=asked.upload_id, actor=ACTOR)
    await artifacts.files.AbortUpload(request)
    return Empty()


class SignDownload(Struct):
    artifact_path: str


class SignedDownload(Struct):
    url: str
    headers: dict[str, str]
    file_size: int


@endpoints.get("mlflow-artifacts/presigned/{artifact_path:path}")
async def sign_download(backend: Backend, asked: SignDownload) -> SignedDownload:
    signed = await signed_download(backend, clean(asked.artifact_path))
    return SignedDownload(signed.url, dict(signed.headers), signed.file.size)


async def signed_download(backend: Backend, path: str, expires_s: int = 0) -> artifact_pb2.SignedDownload:
    artifacts = direct(backend, NO_MULTIPART_DOWNLOAD)
    request = artifact_pb2.SignDownloadRequest(path=path, expires_s=expires_s)
    return await artifacts.files.SignDownload(request)


def direct(backend: Backend, refusal: str) -> Artifacts:
    """refusal: said when clients cannot reach S3 themselves."""
    if not backend.artifacts.direct:
        raise Unsupported(refusal)
    return backend.artifacts
