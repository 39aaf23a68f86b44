"""The in-memory twin: the same promises, for tests, in one process."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NoReturn

from rekam_runtime.blobs.port import Blob, Part, SignedRequest, Upload
from rekam_runtime.errors import AlreadyExists, Invalid, NotFound, Retry, Unsupported

_CHUNK = 64 * 1024


@dataclass
class _Upload:
    key: str
    begun: datetime
    parts: dict[int, bytes] = field(default_factory=dict)


class MemoryStore:
    """`BlobStore` in this process's memory; as large as what is put."""

    signs = False

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self._stored: dict[str, datetime] = {}
        self.uploads: dict[str, _Upload] = {}

    async def put(self, key: str, data: bytes, sha256: str = "") -> None:
        if sha256 and hashlib.sha256(data).hexdigest() != sha256:
            raise Retry(f"blob {key} does not have the SHA-256 {sha256}")
        if key in self.blobs:
            raise AlreadyExists(f"blob {key} is there already")
        self._store(key, bytes(data))

    async def get(self, key: str) -> bytes:
        if key not in self.blobs:
            raise NotFound(f"blob {key} is not there")
        return self.blobs[key]

    async def get_range(self, key: str, start: int, size: int) -> bytes:
        data = await self.get(key)
        if size < 1 or start >= len(data):
            raise Invalid(f"blob {key} has no {size} bytes at {start}")
        return data[start : start + size]

    async def read(self, key: str, start: int = 0, size: int | None = None) -> AsyncGenerator[bytes, None]:
        whole = start == 0 and size is None
        data = await (self.get(key) if whole else self.get_range(key, start, _END if size is None else size))
        for at in range(0, len(data), _CHUNK):
            yield data[at : at + _CHUNK]

    async def stat(self, key: str) -> Blob:
        return self._blob(key, await self.get(key))

    async def list(self, prefix: str, after: str = "") -> AsyncIterator[Blob]:
        for key in sorted(self.blobs):
            if key.startswith(prefix) and key > after:
                yield self._blob(key, self.blobs[key])

    async def delete(self, key: str) -> None:
        self.blobs.pop(key, None)

    async def begin_upload(self, key: str, *, signed: bool = False) -> str:
        upload_id = uuid.uuid4().hex
        self.uploads[upload_id] = _Upload(key, datetime.now(UTC))
        return upload_id

    async def put_part(self, key: str, upload_id: str, number: int, data: bytes) -> Part:
        self._upload(key, upload_id).parts[number] = bytes(data)
        return Part(number, hashlib.sha256(data).hexdigest())

    async def list_parts(self, key: str, upload_id: str) -> AsyncIterator[Part]:
        for number, data in sorted(self._upload(key, upload_id).parts.items()):
            yield Part(number, hashlib.sha256(data).hexdigest(), size=len(data))

    async def complete_upload(self, key: str, upload_id: str, parts: Sequence[Part]) -> None:
        stored = self._upload(key, upload_id).parts
        for part in parts:
            if hashlib.sha256(stored.get(part.number, b"")).hexdigest() != part.etag:
                raise Invalid(f"blob {key}: part {part.number} is not the one that was put")
        self._store(key, b"".join(stored[part.number] for part in sorted(parts, key=lambda p: p.number)))
        del self.uploads[upload_id]

    async def abort_upload(self, key: str, upload_id: str) -> None:
        self.uploads.pop(upload_id, None)

    async def list_uploads(self, prefix: str) -> AsyncIterator[Upload]:
        for upload_id, upload in list(self.uploads.items()):
            if upload.key.startswith(prefix):
                yield Upload(upload.key, upload_id, upload.begun)

    async def sign_put(self, key: str, sha256: str, valid_s: int) -> SignedRequest:
        self._sign_nothing()

    async def sign_part(self, key: str, upload_id: str, number: int, valid_s: int) -> SignedRequest:
        self._sign_nothing()

    async def sign_get(
        self, key: str, valid_s: int, *, media_type: str = "", disposition: str = ""
    ) -> SignedRequest:
        self._sign_nothing()

    async def close(self) -> None:
        pass

    def _store(self, key: str, data: bytes) -> None:
        self.blobs[key] = data
        self._stored[key] = datetime.now(UTC)

    def _blob(self, key: str, data: bytes) -> Blob:
        # A test may have put bytes here itself.
        return Blob(key, len(data), self._stored.setdefault(key, datetime.now(UTC)))

    def _upload(self, key: str, upload_id: str) -> _Upload:
        upload = self.uploads.get(upload_id)
        if upload is None or upload.key != key:
            raise NotFound(f"blob {key}: there is no upload {upload_id}")
        return upload

    def _sign_nothing(self) -> NoReturn:
        raise Unsupported("blobs: nobody else can reach this process's memory")


_END = 2**63
