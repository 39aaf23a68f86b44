"""The in-memory twin: the same promises, for tests, in one process."""

from __future__ import annotations

from collections.abc import AsyncIterator

from rekam_runtime.blobs.port import Blob
from rekam_runtime.errors import AlreadyExists, Invalid, NotFound


class MemoryStore:
    """`BlobStore` in this process's memory; as large as what is put."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}

    async def put(self, key: str, data: bytes) -> None:
        if key in self.blobs:
            raise AlreadyExists(f"blob {key} is there already")
        self.blobs[key] = bytes(data)

    async def get(self, key: str) -> bytes:
        if key not in self.blobs:
            raise NotFound(f"blob {key} is not there")
        return self.blobs[key]

    async def get_range(self, key: str, start: int, size: int) -> bytes:
        data = await self.get(key)
        if size < 1 or start >= len(data):
            raise Invalid(f"blob {key} has no {size} bytes at {start}")
        return data[start : start + size]

    async def list(self, prefix: str, after: str = "") -> AsyncIterator[Blob]:
        for key in sorted(self.blobs):
            if key.startswith(prefix) and key > after:
                yield Blob(key, len(self.blobs[key]))

    async def delete(self, key: str) -> None:
        self.blobs.pop(key, None)

    async def close(self) -> None:
        pass
