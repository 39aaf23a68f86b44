"""Files in and out: bytes to and from S3, verified both ways, in memory that does not grow with them."""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING

import grpc.aio
import structlog

from rekam_gateway.artifacts.committing import Committer
from rekam_proto.artifacts.v1 import artifact_pb2
from rekam_runtime.blobs.port import BlobStore
from rekam_runtime.blobs.writing import PART_BYTES, write
from rekam_runtime.budget import ByteBudget
from rekam_runtime.errors import (
    DeadlineExceeded,
    FailedPrecondition,
    NotFound,
    Quarantine,
    Refused,
    RekamError,
    SlowDown,
)
from rekam_runtime.rpc.status import error_from_rpc

if TYPE_CHECKING:
    from rekam_proto.artifacts.v1.artifact_pb2_grpc import ArtifactServiceAsyncStub

# Parts of all uploads that are being filled or sent.
UPLOAD_BYTES = 96 * 1024 * 1024
# Each holds a connection to S3 for as long as its client reads; some are left for uploads.
DOWNLOADS = 192
DOWNLOAD_WAIT_S = 10.0
# A client that neither sends nor reads for so long is gone.
IDLE_S = 60.0

log = structlog.get_logger(__name__)


class Transfer:
    """Stores and reads files; one for all tasks of the process."""

    def __init__(
        self,
        blobs: BlobStore,
        files: ArtifactServiceAsyncStub,
        committer: Committer,
        *,
        downloads: int = DOWNLOADS,
        download_wait_s: float = DOWNLOAD_WAIT_S,
        idle_s: float = IDLE_S,
    ) -> None:
        self._blobs = blobs
        self._files = files
        self._committer = committer
        self._budget = ByteBudget(UPLOAD_BYTES)
        self._downloads = asyncio.Semaphore(downloads)
        self._download_wait_s = download_wait_s
        self._idle_s = idle_s

    async def store(
        self,
        path: str,
        body: AsyncIterable[bytes],
        *,
        size: int | None = None,
        digest: str = "",
        media_type: str = "",
        actor: str = "",
    ) -> artifact_pb2.File:
        """The file as it is listed, once its bytes are stored; if they are not, nothing is.

        size, digest: what the body is to have; FailedPrecondition when it has not.
        """
        if size is None or size > PART_BYTES:
            await self._check_place(path)
        key = f"blobs/{uuid.uuid4().hex}"
        written = await write(self._blobs, key, _unless_idle(body, self._idle_s), self._budget, size)
        try:
            if digest and written.sha256 != digest:
                raise FailedPrecondition(
                    f"the bytes have the SHA-256 {written.sha256}, not {digest}", field="digest"
                )
            file = artifact_pb2.File(
                path=path,
                digest=written.sha256,
                size=written.size,
                media_type=media_type,
                object_key=key,
            )
            return await self._committer.put(file, actor)
        except Refused:
            # After any other error it may be listed; an object that is not is found in time.
            await self._drop(key)
            raise

    async def find(self, path: str) -> artifact_pb2.File:
        """Raises NotFound, or FailedPrecondition for a folder."""
        try:
            return await self._files.GetFile(artifact_pb2.GetFileRequest(path=path))
        except grpc.aio.AioRpcError as error:
            raise error_from_rpc(error) from None

    async def read(
        self, file: artifact_pb2.File, start: int = 0, size: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        """Bytes of a file from `start`, `size` of them at most; for `aclosing`.

        A whole file ends well only if its bytes are those of its digest: the last chunk is
        kept back until that is known. Quarantine says that they are not.
        """
        whole = start == 0 and (size is None or size >= file.size)
        async with self._download():
            chunks = self._blobs.read(file.object_key) if whole else self._part(file, start, size)
            async with aclosing(chunks), aclosing(_verified(chunks, file) if whole else chunks) as safe:
                try:
                    async for chunk in safe:
                        yield chunk
                except NotFound:
                    raise Quarantine(f"the bytes of {file.path} are not stored any more") from None

    def _part(self, file: artifact_pb2.File, start: int, size: int | None) -> AsyncGenerator[bytes, None]:
        return self._blobs.read(file.object_key, start, size)

    @asynccontextmanager
    async def _download(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._download_wait_s):
                await self._downloads.acquire()
        except TimeoutError:
            raise SlowDown("too many downloads at one time: try again, later") from None
        try:
            yield
        finally:
            self._downloads.release()

    async def _check_place(self, path: str) -> None:
        """Raises what the service has against the path, before many bytes are sent in vain."""
        try:
            await self.find(path)
        except NotFound:
            pass

    async def _drop(self, key: str) -> None:
        try:
            await self._blobs.delete(key)
        except RekamError as error:
            log.warning("an object is left behind", key=key, error=error.message)


async def _unless_idle(body: AsyncIterable[bytes], idle_s: float) -> AsyncIterator[bytes]:
    chunks = aiter(body)
    while True:
        try:
            async with asyncio.timeout(idle_s):
                chunk = await anext(chunks, None)
        except TimeoutError:
            raise DeadlineExceeded(f"nothing of the body came for {idle_s:g} s") from None
        if chunk is None:
            return
        yield chunk


async def _verified(chunks: AsyncIterable[bytes], file: artifact_pb2.File) -> AsyncGenerator[bytes, None]:
    """The chunks, each once the one before it is hashed; the last one if all are right."""
    hashing = hashlib.sha256()
    kept = b""
    async for chunk in chunks:
        # In a thread, while the chunk before is sent.
        hashed = asyncio.ensure_future(asyncio.to_thread(hashing.update, chunk))
        try:
            if kept:
                yield kept
        finally:
            await hashed
        kept = chunk
    if hashing.hexdigest() != file.digest:
        raise Quarantine(f"the bytes of {file.path} are damaged: they do not have the SHA-256 {file.digest}")
    if kept:
        yield kept
