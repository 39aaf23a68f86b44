"""Large files, straight to S3 in parts. A program that is started again sends only what is missing."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import partial
from typing import IO, Any

from rekam.errors import FailedPrecondition, NotFound, Unavailable
from rekam.server import Patience, Server, user_name
from rekam.settings import Settings
from rekam.transfer import direct
from rekam.transfer.local import CHUNK_BYTES, LocalFile
from rekam.transfer.progress import Progress
from rekam.transfer.sending import Counted, media_type
from rekam.transfer.threads import in_parallel
from rekam.transfer.unfinished import Unfinished
from rekam_proto.artifacts.v1 import artifact_pb2

_PART_BYTES = 16 * 1024 * 1024
_MOST_PARTS = 10_000
# Parts whose urls are asked for at once, and how long these can be used.
_SIGNED = 32
_SIGNED_SECONDS = 3_600
# When all parts are there the server reads the file once more, at least so fast.
_CHECKED_BYTES_PER_S = 10 * 1024 * 1024


class PartUpload:
    """One file. Raises direct.Unreachable when S3 is not to be had from here; nothing is left of it then."""

    def __init__(
        self,
        server: Server,
        options: Settings,
        retry_timeout: float,
        progress: Progress,
        file: LocalFile,
        digest: str,
    ) -> None:
        self._server = server
        self._threads = options.transfers
        self._retry_timeout = retry_timeout
        self._progress = progress
        self._stop = threading.Event()
        self._file = file
        self._digest = digest
        self._unfinished = Unfinished(options.spool_dir / ".uploads")
        self._what = (server.target, file.path, digest)
        self._part_bytes = part_bytes(file.size)
        self._parts = -(-file.size // self._part_bytes)
        self._done: dict[int, artifact_pb2.Part] = {}

    def send(self) -> None:
        """Returns when the file is listed."""
        upload = self._begun() or self._begin()
        self._unfinished.put(upload.upload_id, *self._what)
        try:
            with self._file.open() as stream:
                while missing := self._missing(upload)[:_SIGNED]:
                    upload = self._ask(upload.upload_id, missing)
                    send = partial(self._send, stream)
                    for part in in_parallel(send, upload.parts, self._threads, self._stop):
                        self._done[part.number] = part
            self._complete(upload.upload_id)
        except (direct.Unreachable, FailedPrecondition):
            self._give_up(upload.upload_id)
            raise
        self._unfinished.drop(*self._what)

    def _begun(self) -> artifact_pb2.Upload | None:
        """The upload of the same bytes to the same place that an earlier program did not end."""
        upload_id = self._unfinished.get(*self._what)
        try:
            return self._ask(upload_id, []) if upload_id else None
        except NotFound:
            return None

    def _begin(self) -> artifact_pb2.Upload:
        request = artifact_pb2.StartUploadRequest(
            path=self._file.path,
            size=self._file.size,
            digest=self._digest,
            media_type=media_type(self._file.path),
            parts=self._parts,
            actor=user_name(),
        )
        answer: artifact_pb2.Upload = self._call(self._server.artifacts.StartUpload, request)
        return answer

    def _ask(self, upload_id: str, sign: Sequence[int]) -> artifact_pb2.Upload:
        request = artifact_pb2.GetUploadRequest(upload_id=upload_id, sign=sign, expires_s=_SIGNED_SECONDS)
        with direct.signing():
            answer: artifact_pb2.Upload = self._call(self._server.artifacts.GetUpload, request)
        return answer

    def _missing(self, upload: artifact_pb2.Upload) -> list[int]:
        """Numbers of the parts that S3 does not have."""
        for part in upload.uploaded:
            if part.number not in self._done and part.size == self._size(part.number):
                self._done[part.number] = part
                self._progress.add(part.size)
        return [number for number in range(1, self._parts + 1) if number not in self._done]

    def _size(self, number: int) -> int:
        return min(self._part_bytes, self._file.size - (number - 1) * self._part_bytes)

    def _send(self, stream: IO[bytes], part: artifact_pb2.SignedPart) -> artifact_pb2.Part:
        start, size = (part.number - 1) * self._part_bytes, self._size(part.number)
        patience = Patience(self._server.target, self._retry_timeout)
        while True:
            chunks = Counted(self._file.chunks(stream, start, size), self._stop, self._progress)
            try:
                etag = direct.put(part.url, part.headers, size, iter(chunks))
                return artifact_pb2.Part(number=part.number, etag=etag)
            except Unavailable as error:
                chunks.take_back()
                patience.wait(error)

    def _complete(self, upload_id: str) -> None:
        request = artifact_pb2.CompleteUploadRequest(
            upload_id=upload_id,
            parts=[
                artifact_pb2.Part(number=number, etag=part.etag)
                for number, part in sorted(self._done.items())
            ],
            digest=self._digest,
            actor=user_name(),
        )
        try:
            self._server.call(
                self._server.artifacts.CompleteUpload,
                request,
                self._retry_timeout,
                timeout=self._retry_timeout + self._file.size / _CHECKED_BYTES_PER_S,
            )
        except NotFound:
            # Another program that sends the same has ended it before.
            found = self._call(
                self._server.artifacts.GetFile, artifact_pb2.GetFileRequest(path=self._file.path)
            )
            if found.digest != self._digest:
                raise

    def _give_up(self, upload_id: str) -> None:
        self._unfinished.drop(*self._what)
        self._progress.add(-sum(map(self._size, self._done)))
        request = artifact_pb2.AbortUploadRequest(upload_id=upload_id, actor=user_name())
        self._call(self._server.artifacts.AbortUpload, request)

    def _call(self, method: Any, request: Any) -> Any:
        return self._server.call(method, request, self._retry_timeout)


def part_bytes(size: int) -> int:
    """Of one part; the same for the same size, so that a program that is started again fits in."""
    least = -(-size // _MOST_PARTS)
    return max(_PART_BYTES, -(-least // CHUNK_BYTES) * CHUNK_BYTES)
