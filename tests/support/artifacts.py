"""The artifacts service on a log and a store of the test's choice: both roles in this process, over gRPC."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rekam_artifacts import control, events, wiring
from rekam_proto.artifacts.v1 import artifact_pb2
from rekam_proto.artifacts.v1.artifact_pb2 import File
from rekam_proto.artifacts.v1.artifact_pb2_grpc import ArtifactServiceStub, CollectionServiceStub
from rekam_proto.artifacts.v1.storage_pb2_grpc import StorageServiceStub
from rekam_runtime.blobs.port import BlobStore
from rekam_runtime.eventlog.port import EventLog
from rekam_runtime.postgres import Pool, connect_pool, migrate, retry_of
from rekam_runtime.process import beside
from rekam_runtime.projection import Projector
from rekam_runtime.rpc.client import channel
from rekam_runtime.rpc.server import build_server
from rekam_runtime.settings import HostPort

if TYPE_CHECKING:
    from rekam_proto.artifacts.v1.artifact_pb2_grpc import (
        ArtifactServiceAsyncStub,
        CollectionServiceAsyncStub,
    )
    from rekam_proto.artifacts.v1.storage_pb2_grpc import StorageServiceAsyncStub


@dataclass(frozen=True)
class Artifacts:
    """How to reach the service, and what it is made of."""

    files: ArtifactServiceAsyncStub
    storage: StorageServiceAsyncStub
    collection: CollectionServiceAsyncStub
    store: BlobStore
    pool: Pool
    log: EventLog

    async def put(self, path: str, data: bytes, *, media_type: str = "") -> File:
        """As the gateway does: the bytes under a new key, then the file."""
        (file,) = await self.put_many({path: data}, media_type=media_type)
        return file

    async def put_many(self, files: dict[str, bytes], *, media_type: str = "") -> list[File]:
        uploaded = [
            await uploaded_file(self.store, path, data, media_type=media_type) for path, data in files.items()
        ]
        answer = await self.storage.PutStoredFiles(artifact_pb2.PutFilesRequest(files=uploaded))
        return list(answer.files)

    async def read(self, path: str) -> bytes:
        file = await self.files.GetFile(artifact_pb2.GetFileRequest(path=path))
        return await self.store.get(file.object_key)

    async def listed(self, path: str = "", *, recursive: bool = False) -> list[str]:
        """Paths, folders with a slash behind them; all pages."""
        request = artifact_pb2.ListFilesRequest(path=path, recursive=recursive, page_size=1_000)
        paths: list[str] = []
        while True:
            answer = await self.files.ListFiles(request)
            paths += [shown(entry) for entry in answer.entries]
            if not answer.next_page_token:
                return paths
            request.page_token = answer.next_page_token

    async def delete(self, path: str, *, recursive: bool = True) -> None:
        await self.files.DeleteFiles(artifact_pb2.DeleteFilesRequest(path=path, recursive=recursive))

    async def collect(self, *, dry_run: bool = False) -> artifact_pb2.CollectResponse:
        return await self.collection.Collect(artifact_pb2.CollectRequest(dry_run=dry_run))


def shown(entry: artifact_pb2.Entry) -> str:
    return f"{entry.folder.path}/" if entry.HasField("folder") else entry.file.path


def digest_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


async def uploaded_file(store: BlobStore, path: str, data: bytes, *, media_type: str = "") -> File:
    """The bytes under a key of their own, and the file to be put."""
    key = f"blobs/{secrets.token_hex(16)}"
    await store.put(key, data)
    return File(path=path, digest=digest_of(data), size=len(data), media_type=media_type, object_key=key)


@asynccontextmanager
async def running_artifacts(
    log: EventLog, database_url: str, store: BlobStore, *, grace_s: float = 0, deadline_s: float = 10
) -> AsyncIterator[Artifacts]:
    """A migrated database, the services and the projection."""
    await migrate(database_url, "rekam_artifacts")
    async with AsyncExitStack() as stack:
        pool = await connect_pool(database_url, max_size=8, application_name="test")
        stack.push_async_callback(pool.close)
        for stream in wiring.streams():
            await log.ensure(stream)
        own = await stack.enter_async_context(
            wiring.connected(log, pool, store, deadline_s=deadline_s, grace_s=grace_s)
        )
        projector = Projector(
            log, pool, stream=events.STREAM, service=events.SERVICE, apply=control.PART.apply
        )
        await stack.enter_async_context(beside(projector.run()))
        server = await stack.enter_async_context(
            build_server(wiring.services(own), HostPort("127.0.0.1", 0), translate=retry_of)
        )
        opened = channel(f"127.0.0.1:{server.port}")
        stack.push_async_callback(opened.close)
        yield Artifacts(
            ArtifactServiceStub(opened),
            StorageServiceStub(opened),
            CollectionServiceStub(opened),
            store,
            pool,
            log,
        )
