"""Uploads to S3 by whoever holds signed requests: begun, gone on with, completed, given up; on a real S3."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable
from dataclasses import replace

import grpc
import grpc.aio
import httpx
import pytest

from rekam_proto.artifacts.v1 import artifact_pb2
from rekam_proto.artifacts.v1.artifact_pb2 import (
    CompleteUploadRequest,
    GetUploadRequest,
    Part,
    SignedPart,
    StartUploadRequest,
)
from rekam_runtime.blobs.s3 import S3Store
from rekam_runtime.eventlog.memory import MemoryLog
from rekam_runtime.rpc.status import error_from_rpc
from tests.support.artifacts import Artifacts, digest_of, running_artifacts
from tests.support.seaweed import SeaweedServer

pytestmark = pytest.mark.asyncio

MIB = 1024 * 1024
LARGE = os.urandom(12 * MIB + 5)
WRONG = grpc.StatusCode.FAILED_PRECONDITION


@pytest.fixture
async def artifacts(database_url: str, seaweed_server: SeaweedServer) -> AsyncIterator[Artifacts]:
    settings = seaweed_server.settings
    store = S3Store(replace(settings, s3_public_endpoint=settings.s3_endpoint))
    async with running_artifacts(MemoryLog(), database_url, store, grace_s=3600) as running:
        yield running
    await store.close()


async def send(part: SignedPart, data: bytes) -> Part:
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.put(part.url, content=data, headers=dict(part.headers), timeout=30)
    answer.raise_for_status()
    return Part(number=part.number, etag=answer.headers["ETag"])


async def refused(call: Awaitable[object], code: grpc.StatusCode, field: str = "") -> str:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    assert caught.value.code() == code, caught.value.details()
    assert error_from_rpc(caught.value).field == field
    return str(caught.value.details())


def pieces(data: bytes, size: int = 5 * MIB) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


async def test_one_request_whose_digest_is_known(artifacts: Artifacts) -> None:
    data = b"all of it"
    start = StartUploadRequest(
        path="a/b", size=len(data), digest=digest_of(data), media_type="text/x", parts=1, sign=True
    )
    upload = await artifacts.files.StartUpload(start)
    (part,) = upload.parts
    with pytest.raises(httpx.HTTPStatusError):
        await send(part, b"other bytes")
    complete = CompleteUploadRequest(upload_id=upload.upload_id)
    await refused(artifacts.files.CompleteUpload(complete), WRONG)
    await send(part, data)
    assert await artifacts.listed("a") == []
    file = await artifacts.files.CompleteUpload(complete)
    assert (file.path, file.digest, file.size, file.media_type) == ("a/b", digest_of(data), 9, "text/x")
    assert await artifacts.read("a/b") == data
    again = await artifacts.files.CompleteUpload(complete)
    assert (again.path, again.digest, again.size) == (file.path, file.digest, file.size)


@pytest.mark.parametrize("known", [True, False])
async def test_parts(artifacts: Artifacts, known: bool) -> None:
    start = StartUploadRequest(path="large", parts=3, sign=True)
    if known:
        start.size, start.digest = len(LARGE), digest_of(LARGE)
    upload = await artifacts.files.StartUpload(start)
    assert [part.number for part in upload.parts] == [1, 2, 3]
    parts = await asyncio.gather(*map(send, upload.parts, pieces(LARGE)))
    assert await artifacts.listed() == []
    complete = CompleteUploadRequest(upload_id=upload.upload_id, parts=parts)
    file = await artifacts.files.CompleteUpload(complete)
    assert (file.digest, file.size) == (digest_of(LARGE), len(LARGE))
    assert await artifacts.read("large") == LARGE
    signed = await artifacts.files.SignDownload(artifact_pb2.SignDownloadRequest(path="large"))
    async with httpx.AsyncClient(trust_env=False) as client:
        assert (await client.get(signed.url, headers={"Range": "bytes=5-9"})).content == LARGE[5:10]


async def test_an_upload_is_gone_on_with(artifacts: Artifacts) -> None:
    """By somebody who knows its id and nothing else."""
    started = await artifacts.files.StartUpload(StartUploadRequest(path="large", parts=0))
    first, second, third = pieces(LARGE)
    upload = await artifacts.files.GetUpload(GetUploadRequest(upload_id=started.upload_id, sign=[1, 3]))
    await asyncio.gather(*map(send, upload.parts, (first, third)))
    upload = await artifacts.files.GetUpload(GetUploadRequest(upload_id=started.upload_id, sign=[2]))
    assert [(part.number, part.size) for part in upload.uploaded] == [(1, len(first)), (3, len(third))]
    part = await send(upload.parts[0], second)
    parts = sorted([*upload.uploaded, part], key=lambda part: part.number)
    complete = CompleteUploadRequest(upload_id=started.upload_id, parts=parts, digest=digest_of(LARGE))
    assert (await artifacts.files.CompleteUpload(complete)).size == len(LARGE)
    gone = artifacts.files.GetUpload(GetUploadRequest(upload_id=started.upload_id))
    await refused(gone, grpc.StatusCode.NOT_FOUND, "upload_id")


async def test_bytes_that_were_stored_before_are_stored_once(artifacts: Artifacts) -> None:
    first = await artifacts.put("first", b"same")
    upload = await artifacts.files.StartUpload(StartUploadRequest(path="second", parts=1, sign=True))
    part = await send(upload.parts[0], b"same")
    complete = CompleteUploadRequest(upload_id=upload.upload_id, parts=[part])
    assert (await artifacts.files.CompleteUpload(complete)).object_key == first.object_key


@pytest.mark.parametrize("said", [{"size": 5}, {"digest": digest_of(b"others")}])
async def test_other_bytes_than_were_said_are_not_listed(
    artifacts: Artifacts, said: dict[str, object]
) -> None:
    upload = await artifacts.files.StartUpload(
        StartUploadRequest(path="a", parts=2, sign=True, **said)  # type: ignore[arg-type]
    )
    part = await send(upload.parts[0], b"1234")
    complete = CompleteUploadRequest(upload_id=upload.upload_id, parts=[part])
    await refused(artifacts.files.CompleteUpload(complete), WRONG)
    await refused(artifacts.files.CompleteUpload(complete), grpc.StatusCode.NOT_FOUND, "upload_id")
    assert await artifacts.listed() == []


async def test_parts_that_are_not_there_are_said(artifacts: Artifacts) -> None:
    upload = await artifacts.files.StartUpload(StartUploadRequest(path="a", parts=2, sign=True))
    part = await send(upload.parts[0], b"1234")
    other = Part(number=2, etag=part.etag)
    complete = CompleteUploadRequest(upload_id=upload.upload_id, parts=[part, other])
    await refused(artifacts.files.CompleteUpload(complete), grpc.StatusCode.INVALID_ARGUMENT, "parts")
    none = CompleteUploadRequest(upload_id=upload.upload_id)
    await refused(artifacts.files.CompleteUpload(none), grpc.StatusCode.INVALID_ARGUMENT, "parts")
    unordered = CompleteUploadRequest(upload_id=upload.upload_id, parts=[other, part])
    await refused(
        artifacts.files.CompleteUpload(unordered), grpc.StatusCode.INVALID_ARGUMENT, "parts[1].number"
    )
    complete = CompleteUploadRequest(upload_id=upload.upload_id, parts=[part])
    assert (await artifacts.files.CompleteUpload(complete)).size == 4


async def test_an_aborted_upload_leaves_nothing(artifacts: Artifacts) -> None:
    upload = await artifacts.files.StartUpload(StartUploadRequest(path="a", parts=2, sign=True))
    part = await send(upload.parts[0], b"1234")
    abort = artifact_pb2.AbortUploadRequest(upload_id=upload.upload_id)
    await artifacts.files.AbortUpload(abort)
    await artifacts.files.AbortUpload(abort)
    complete = CompleteUploadRequest(upload_id=upload.upload_id, parts=[part])
    await refused(artifacts.files.CompleteUpload(complete), grpc.StatusCode.NOT_FOUND, "upload_id")
    assert (await artifacts.collect()).removed == 1
    assert [one async for one in artifacts.store.list_uploads(upload.object_key)] == []


async def test_a_path_that_is_barred_is_said_at_once_and_at_the_end(artifacts: Artifacts) -> None:
    upload = await artifacts.files.StartUpload(StartUploadRequest(path="a/b", parts=1, sign=True))
    part = await send(upload.parts[0], b"1234")
    await artifacts.put("a", b"a file")
    await refused(artifacts.files.StartUpload(StartUploadRequest(path="a/b", parts=1)), WRONG, "path")
    complete = CompleteUploadRequest(upload_id=upload.upload_id, parts=[part])
    await refused(artifacts.files.CompleteUpload(complete), WRONG, "path")
    await artifacts.delete("a")
    assert (await artifacts.files.CompleteUpload(complete)).path == "a/b"


async def test_names_of_any_kind_are_uploaded(artifacts: Artifacts) -> None:
    path = "ä b+c%20/'\"/💾"
    start = StartUploadRequest(path=path, digest=digest_of(b"x"), parts=1, sign=True)
    upload = await artifacts.files.StartUpload(start)
    await send(upload.parts[0], b"x")
    await artifacts.files.CompleteUpload(CompleteUploadRequest(upload_id=upload.upload_id))
    assert await artifacts.listed(recursive=True) == [path]


async def test_an_empty_file(artifacts: Artifacts) -> None:
    upload = await artifacts.files.StartUpload(StartUploadRequest(path="empty", parts=1, sign=True))
    part = await send(upload.parts[0], b"")
    complete = CompleteUploadRequest(upload_id=upload.upload_id, parts=[part])
    assert (await artifacts.files.CompleteUpload(complete)).digest == digest_of(b"")
    assert await artifacts.read("empty") == b""
