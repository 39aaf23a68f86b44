"""TransferService: files over gRPC, by a client that sends what the SDK never would."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator

import grpc
import pytest

from rekam.testing import LocalStack
from rekam_proto.artifacts.v1 import artifact_pb2
from rekam_proto.artifacts.v1.artifact_pb2_grpc import ArtifactServiceStub
from rekam_proto.artifacts.v1.transfer_pb2 import DownloadRequest, UploadHeader, UploadRequest
from rekam_proto.artifacts.v1.transfer_pb2_grpc import TransferServiceStub
from tests.support.objects import objects_of
from tests.support.stack import until

MIB = 1024 * 1024
TIMEOUT_S = 60.0


class Transfers:
    def __init__(self, channel: grpc.Channel) -> None:
        self.stub = TransferServiceStub(channel)
        self.files = ArtifactServiceStub(channel)

    def upload(self, header: UploadHeader, data: bytes = b"", chunk: int = MIB) -> artifact_pb2.File:
        return self.stub.Upload(requests(header, data, chunk), timeout=TIMEOUT_S)

    def download(self, path: str, offset: int = 0, size: int = 0) -> tuple[artifact_pb2.File, bytes]:
        answers = self.stub.Download(DownloadRequest(path=path, offset=offset, size=size), timeout=TIMEOUT_S)
        header = next(answers)
        return header.header, b"".join(answer.chunk for answer in answers)

    def listed(self) -> list[str]:
        entries = self.files.ListFiles(
            artifact_pb2.ListFilesRequest(recursive=True), timeout=TIMEOUT_S
        ).entries
        return [entry.file.path for entry in entries]


def requests(header: UploadHeader, data: bytes, chunk: int = MIB) -> Iterator[UploadRequest]:
    yield UploadRequest(header=header)
    for at in range(0, len(data), chunk):
        yield UploadRequest(chunk=data[at : at + chunk])


@pytest.fixture
def transfers(rekam_clean: LocalStack) -> Iterator[Transfers]:
    with grpc.insecure_channel(rekam_clean.grpc) as channel:
        yield Transfers(channel)


@pytest.mark.parametrize("size", [0, 1, 8 * MIB, 20 * MIB + 7])
@pytest.mark.parametrize("said", [True, False])
def test_what_is_uploaded_comes_back(transfers: Transfers, size: int, said: bool) -> None:
    data = os.urandom(size)
    digest = hashlib.sha256(data).hexdigest()
    header = UploadHeader(path="1/a", media_type="x/y")
    if said:
        header.size, header.digest = size, digest
    file = transfers.upload(header, data)
    assert (file.path, file.digest, file.size, file.media_type) == ("1/a", digest, size, "x/y")
    got, content = transfers.download("1/a")
    assert (got.digest, got.size) == (digest, size)
    assert content == data


def test_parts_of_a_file(transfers: Transfers) -> None:
    data = os.urandom(9 * MIB)
    transfers.upload(UploadHeader(path="1/a"), data)
    for offset, size in (
        (0, 1),
        (8 * MIB - 1, 2),
        (5, 0),
        (len(data) - 1, 99),
        (len(data), 0),
        (0, len(data)),
    ):
        _, content = transfers.download("1/a", offset, size)
        assert content == data[offset : offset + size if size else None]
    for offset, size in ((len(data) + 1, 0), (-1, 0), (0, -1)):
        with pytest.raises(grpc.RpcError) as refused:
            transfers.download("1/a", offset, size)
        assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize(
    ("header", "code"),
    [
        (UploadHeader(path="1/a", size=5), grpc.StatusCode.FAILED_PRECONDITION),
        (UploadHeader(path="1/a", size=2), grpc.StatusCode.FAILED_PRECONDITION),
        (UploadHeader(path="1/a", size=50 * MIB), grpc.StatusCode.FAILED_PRECONDITION),
        (UploadHeader(path="1/a", digest="0" * 64), grpc.StatusCode.FAILED_PRECONDITION),
        (UploadHeader(path="../a"), grpc.StatusCode.INVALID_ARGUMENT),
        (UploadHeader(path="../a", size=4), grpc.StatusCode.INVALID_ARGUMENT),
        (UploadHeader(path="1/a", size=-1), grpc.StatusCode.INVALID_ARGUMENT),
        (UploadHeader(path="1/a", size=4, media_type="x" * 256), grpc.StatusCode.INVALID_ARGUMENT),
    ],
)
def test_what_is_not_as_said_is_not_listed(
    transfers: Transfers, rekam_clean: LocalStack, header: UploadHeader, code: grpc.StatusCode
) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        transfers.upload(header, b"four")
    assert refused.value.code() == code, refused.value.details()
    assert transfers.listed() == []
    assert objects_of(rekam_clean).keys() == []


@pytest.mark.parametrize(
    "sent",
    [
        [],
        [UploadRequest()],
        [UploadRequest(chunk=b"x")],
        [UploadRequest(header=UploadHeader(path="1/a")), UploadRequest()],
        [UploadRequest(header=UploadHeader(path="1/a"))] * 2,
        [UploadRequest(header=UploadHeader(path="1/a")), UploadRequest(chunk=bytes(MIB + 1))],
    ],
)
def test_streams_that_are_no_upload_are_refused(transfers: Transfers, sent: list[UploadRequest]) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        transfers.stub.Upload(iter(sent), timeout=TIMEOUT_S)
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert transfers.listed() == []


def test_an_upload_that_is_cancelled_leaves_nothing(transfers: Transfers, rekam_clean: LocalStack) -> None:
    ended = threading.Event()

    def endless() -> Iterator[UploadRequest]:
        yield from requests(UploadHeader(path="1/a"), os.urandom(40 * MIB))
        ended.wait(TIMEOUT_S)

    objects = objects_of(rekam_clean)
    call = transfers.stub.Upload.future(endless(), timeout=TIMEOUT_S)
    until("parts are on their way", objects.uploads)
    call.cancel()
    ended.set()
    until("the upload is aborted", lambda: not objects.uploads())
    assert transfers.listed() == []
    assert objects.keys() == []


def test_a_download_that_is_left_lets_others_pass(transfers: Transfers) -> None:
    data = os.urandom(30 * MIB)
    transfers.upload(UploadHeader(path="1/a"), data)
    for _ in range(300):
        call = transfers.stub.Download(DownloadRequest(path="1/a"), timeout=TIMEOUT_S)
        next(call)
        call.cancel()
    assert transfers.download("1/a")[1] == data


def test_what_is_not_there_and_what_is_damaged(transfers: Transfers, rekam_clean: LocalStack) -> None:
    data = os.urandom(3 * MIB)
    transfers.upload(UploadHeader(path="1/a"), data)
    objects = objects_of(rekam_clean)
    objects.replace(objects.key_of("1/a"), data[:-1] + bytes([data[-1] ^ 1]))
    for path, code in (
        ("1/x", grpc.StatusCode.NOT_FOUND),
        ("1", grpc.StatusCode.FAILED_PRECONDITION),
        ("", grpc.StatusCode.INVALID_ARGUMENT),
        ("1/a", grpc.StatusCode.DATA_LOSS),
    ):
        with pytest.raises(grpc.RpcError) as refused:
            transfers.download(path)
        assert refused.value.code() == code
