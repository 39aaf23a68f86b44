"""Artifacts through a stack's gRPC door, by clients that send again what was not answered."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import grpc

from rekam.testing import LocalStack
from rekam_proto.artifacts.v1 import artifact_pb2, artifact_pb2_grpc, transfer_pb2, transfer_pb2_grpc

_Answer = TypeVar("_Answer")
_AGAIN = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
)


@dataclass
class Door:
    """One client. refused: answers that were no success and not to be sent again."""

    files: artifact_pb2_grpc.ArtifactServiceStub
    collection: artifact_pb2_grpc.CollectionServiceStub
    transfer: transfer_pb2_grpc.TransferServiceStub
    patience_s: float = 120
    again: list[str] = field(default_factory=list)

    def upload(self, path: str, data: bytes) -> artifact_pb2.File:
        def requests() -> Iterator[transfer_pb2.UploadRequest]:
            header = transfer_pb2.UploadHeader(path=path, size=len(data), digest=_digest(data))
            yield transfer_pb2.UploadRequest(header=header)
            yield transfer_pb2.UploadRequest(chunk=data)

        return self._persistently(lambda: self.transfer.Upload(requests(), timeout=20))

    def download(self, path: str) -> bytes:
        def read() -> bytes:
            answers = self.transfer.Download(transfer_pb2.DownloadRequest(path=path), timeout=20)
            return b"".join(answer.chunk for answer in answers)

        return self._persistently(read)

    def delete(self, path: str) -> None:
        request = artifact_pb2.DeleteFilesRequest(path=path, recursive=True)
        self._persistently(lambda: self.files.DeleteFiles(request, timeout=20))

    def listed(self, path: str = "") -> list[artifact_pb2.File]:
        """Every file below."""
        request = artifact_pb2.ListFilesRequest(path=path, recursive=True, page_size=1_000)
        found: list[artifact_pb2.File] = []
        while True:
            page = self._persistently(lambda: self.files.ListFiles(request, timeout=20))
            found += [entry.file for entry in page.entries]
            if not page.next_page_token:
                return found
            request.page_token = page.next_page_token

    def collect(self, *, dry_run: bool = False) -> artifact_pb2.CollectResponse:
        request = artifact_pb2.CollectRequest(dry_run=dry_run)
        return self._persistently(lambda: self.collection.Collect(request, timeout=60))

    def _persistently(self, call: Callable[[], _Answer]) -> _Answer:
        deadline = time.monotonic() + self.patience_s
        while True:
            try:
                return call()
            except grpc.RpcError as error:
                if error.code() not in _AGAIN or time.monotonic() > deadline:
                    raise
                self.again.append(f"{error.code().name}: {error.details()}")
                time.sleep(0.05)


@contextmanager
def door_of(stack: LocalStack, patience_s: float = 120) -> Iterator[Door]:
    with grpc.insecure_channel(stack.grpc, options=[("grpc.enable_http_proxy", 0)]) as channel:
        yield Door(
            artifact_pb2_grpc.ArtifactServiceStub(channel),
            artifact_pb2_grpc.CollectionServiceStub(channel),
            transfer_pb2_grpc.TransferServiceStub(channel),
            patience_s,
        )


def is_whole(file: artifact_pb2.File, data: bytes) -> bool:
    return (len(data), _digest(data)) == (file.size, file.digest)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
