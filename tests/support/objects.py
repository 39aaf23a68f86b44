"""What a stack's S3 holds of artifacts, behind the services' back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import grpc
import psutil

from rekam.testing import LocalStack
from rekam_proto.artifacts.v1 import artifact_pb2, artifact_pb2_grpc
from rekam_runtime.blobs.s3 import S3Store
from rekam_runtime.blobs.settings import S3Settings
from rekam_runtime.settings import load
from tests.support.faults import Faults

PREFIX = "blobs/"
_Value = TypeVar("_Value")


class Objects:
    def __init__(self, settings: S3Settings, target: str) -> None:
        self._settings = settings
        self._target = target

    def keys(self) -> list[str]:
        async def keys(store: S3Store) -> list[str]:
            return [blob.key async for blob in store.list(PREFIX)]

        return self._run(keys)

    def uploads(self) -> list[str]:
        """Keys of uploads in parts that have not ended."""

        async def uploads(store: S3Store) -> list[str]:
            return [upload.key async for upload in store.list_uploads(PREFIX)]

        return self._run(uploads)

    def key_of(self, path: str) -> str:
        """Where a file's bytes are."""
        with grpc.insecure_channel(self._target) as channel:
            files = artifact_pb2_grpc.ArtifactServiceStub(channel)
            return files.GetFile(artifact_pb2.GetFileRequest(path=path), timeout=20).object_key

    def collect(self) -> None:
        """Remove what was taken away, now."""
        with grpc.insecure_channel(self._target) as channel:
            artifact_pb2_grpc.CollectionServiceStub(channel).Collect(
                artifact_pb2.CollectRequest(), timeout=60
            )

    def replace(self, key: str, data: bytes) -> None:
        """As a disk does that goes bad."""

        async def replace(store: S3Store) -> None:
            await store.delete(key)
            await store.put(key, data)

        self._run(replace)

    def _run(self, call: Callable[[S3Store], Awaitable[_Value]]) -> _Value:
        async def called() -> _Value:
            store = S3Store(self._settings)
            try:
                return await call(store)
            finally:
                await store.close()

        return asyncio.run(called())


def objects_of(stack: LocalStack) -> Objects:
    environ = psutil.Process(Faults(stack).pids()["gateway"]).environ()
    return Objects(load(S3Settings, environ), stack.grpc)
