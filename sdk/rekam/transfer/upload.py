"""Sends files: only bytes that are not stored yet, many files at once, large ones in parts."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

from rekam.errors import FailedPrecondition, RekamError
from rekam.server import Patience, Server, user_name
from rekam.settings import Settings
from rekam.transfer import direct
from rekam.transfer.local import LocalFile
from rekam.transfer.parts import PartUpload
from rekam.transfer.paths import join
from rekam.transfer.progress import Progress
from rekam.transfer.sending import Counted, media_type, naming
from rekam.transfer.threads import in_parallel
from rekam_proto.artifacts.v1 import artifact_pb2, transfer_pb2

# From this size on a file goes in parts.
LARGE_BYTES = 64 * 1024 * 1024
# Files of one request: within its bound however long the paths are.
_BATCH = 256
# A file that goes in one stream begins anew when it breaks; so often that counts as a server that is there.
_BROKEN_STREAMS = 5


class Uploader:
    """Sends files into a folder of one server's store, for one call."""

    def __init__(
        self, server: Server, folder: str, options: Settings, retry_timeout: float, progress: Progress
    ) -> None:
        self._server = server
        self._folder = folder
        self._options = options
        self._retry_timeout = retry_timeout
        self._progress = progress
        self._stop = threading.Event()

    def send(self, files: Iterable[LocalFile]) -> None:
        """Returns when all of them are listed, and durable. Some may be when one fails."""
        iterator = (replace(file, path=join(self._folder, file.path)) for file in files)
        while batch := list(islice(iterator, _BATCH)):
            self._progress.expect(sum(file.size for file in batch))
            self._send_batch(batch)

    def _send_batch(self, files: Sequence[LocalFile]) -> None:
        digests = self._in_parallel(LocalFile.digest, files)
        stored = self._stored(set(digests))
        fresh: dict[str, LocalFile] = {}
        known: list[tuple[LocalFile, str]] = []
        for file, digest in zip(files, digests, strict=True):
            if digest in stored or digest in fresh:
                known.append((file, digest))
            else:
                fresh[digest] = file
        sent = [(file, digest) for digest, file in fresh.items()]
        self._in_parallel(self._send_whole, [each for each in sent if each[0].size < LARGE_BYTES])
        for file, digest in sent:
            if file.size >= LARGE_BYTES:
                self._send_large(file, digest)
        self._put(known)

    def _stored(self, digests: set[str]) -> set[str]:
        request = artifact_pb2.FindBlobsRequest(digests=digests)
        return {blob.digest for blob in self._call(self._server.artifacts.FindBlobs, request).blobs}

    def _put(self, files: Sequence[tuple[LocalFile, str]]) -> None:
        """List files whose bytes are stored."""
        if not files:
            return
        messages = [
            artifact_pb2.File(path=file.path, digest=digest, size=file.size, media_type=media_type(file.path))
            for file, digest in files
        ]
        try:
            request = artifact_pb2.PutFilesRequest(files=messages, actor=user_name())
            self._call(self._server.artifacts.PutFiles, request)
        except FailedPrecondition as error:
            if not error.field.endswith(".digest"):
                raise
            # Until a moment ago they were stored, and nobody needed them.
            self._in_parallel(self._send_whole, files)
        else:
            self._progress.add(sum(file.size for file, _ in files))

    def _send_large(self, file: LocalFile, digest: str) -> None:
        if self._options.direct_transfers and direct.worth_a_try(self._server.target):
            upload = PartUpload(
                self._server, self._options, self._retry_timeout, self._progress, file, digest
            )
            try:
                with naming(file):
                    upload.send()
                return
            except direct.Unreachable:
                direct.leave(self._server.target)
        self._send_whole((file, digest))

    def _send_whole(self, item: tuple[LocalFile, str]) -> None:
        """Through the gateway, in one stream."""
        import grpc

        file, digest = item
        header = transfer_pb2.UploadHeader(
            path=file.path, size=file.size, digest=digest, media_type=media_type(file.path), actor=user_name()
        )
        patience = Patience(self._server.target, self._retry_timeout)
        broken = 0
        with naming(file), file.open() as stream:
            while True:
                requests = _Requests(header, Counted(file.chunks(stream), self._stop, self._progress))
                try:
                    self._server.transfers.Upload(iter(requests))
                    return
                except grpc.RpcError as error:
                    requests.chunks.take_back()
                    if requests.failed is not None:
                        raise requests.failed from None
                    if requests.chunks.sent and broken < _BROKEN_STREAMS:
                        broken += 1
                        patience.renew()
                    patience.wait_after(error)

    def _in_parallel(self, work: Any, items: Any) -> Any:
        return in_parallel(work, items, self._options.transfers, self._stop)

    def _call(self, method: Any, request: Any) -> Any:
        return self._server.call(method, request, self._retry_timeout)


class _Requests:
    """The messages of an upload. gRPC asks for them in a thread of its own, so what fails is kept."""

    def __init__(self, header: transfer_pb2.UploadHeader, chunks: Counted) -> None:
        self.chunks = chunks
        self.failed: RekamError | None = None
        self._header = header

    def __iter__(self) -> Iterator[transfer_pb2.UploadRequest]:
        yield transfer_pb2.UploadRequest(header=self._header)
        try:
            for chunk in self.chunks:
                yield transfer_pb2.UploadRequest(chunk=chunk)
        except RekamError as error:
            # The stream ends here, short of what its header says: the server lists nothing.
            self.failed = error
