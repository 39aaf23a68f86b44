"""Blob storage: what every adapter promises.

A blob is bytes under a key; keys are texts of parts joined by `/`. A blob is written once
and never changed. `tests/contracts/test_blobs.py` holds every adapter to this page.
`rekam_runtime.blobs.writing` writes bodies of any length with what is here.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Blob:
    """A stored blob as a listing shows it. stored: when; S3 says whole seconds."""

    key: str
    size: int
    stored: datetime = field(compare=False)


@dataclass(frozen=True, slots=True)
class Part:
    """A part that the store has taken.

    etag: what the store answered when it took the part.
    checksum: of a part that was put by `put_part`.
    size: of a part that `list_parts` tells of.
    """

    number: int
    etag: str
    checksum: str = field(default="", compare=False)
    size: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Upload:
    """An upload in parts that was begun, and neither completed nor aborted."""

    key: str
    upload_id: str
    begun: datetime


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """A request that whoever holds it may send to the store, for a while.

    headers: must be sent as they are here.
    """

    url: str
    headers: Mapping[str, str]


class BlobStore(Protocol):
    """Put, get, list, delete; uploads in parts; requests for others to send.

    Every method raises Retry when the store cannot be reached, SlowDown when it is full or
    overloaded, FailedPrecondition when the bucket is not there or the keys are not accepted.
    """

    @property
    def signs(self) -> bool:
        """Whether others can reach the store: without it, `sign_...` raises Unsupported."""
        ...

    async def put(self, key: str, data: bytes, sha256: str = "") -> None:
        """Store the blob if there is none under the key, whole or not at all.

        The store checks the bytes against their SHA-256 as they arrive.
        sha256: in hex, where the caller knows it.
        Raises AlreadyExists when there is one; it may be this one, stored by a try whose answer
        was lost.
        """
        ...

    async def get(self, key: str) -> bytes:
        """The whole blob. Raises NotFound."""
        ...

    async def get_range(self, key: str, start: int, size: int) -> bytes:
        """Bytes of the blob from `start`, fewer than `size` where it ends. Raises NotFound.

        Invalid when the blob ends before `start`, or size is 0.
        """
        ...

    def read(self, key: str, start: int = 0, size: int | None = None) -> AsyncGenerator[bytes, None]:
        """The same as a stream of chunks, all of it unless said otherwise; for `aclosing`.

        The first chunk raises what `get_range` would. The stream breaks with Retry, it never
        ends early.
        """
        ...

    async def stat(self, key: str) -> Blob:
        """The blob as a listing would show it. Raises NotFound."""
        ...

    def list(self, prefix: str, after: str = "") -> AsyncIterator[Blob]:
        """Blobs whose key has the prefix and follows `after`, in the order of their keys."""
        ...

    async def delete(self, key: str) -> None:
        """Remove the blob; one that is not there is gone already."""
        ...

    async def begin_upload(self, key: str, *, signed: bool = False) -> str:
        """Begin to store a blob in parts; the answer is the upload's id.

        signed: its parts are put by others, by requests of `sign_part`.
        """
        ...

    async def put_part(self, key: str, upload_id: str, number: int, data: bytes) -> Part:
        """Store a part; numbers begin at 1, and all but the last part have 5 MiB at least.

        The store checks the bytes against their checksum. NotFound when there is no such upload.
        """
        ...

    def list_parts(self, key: str, upload_id: str) -> AsyncIterator[Part]:
        """Parts that the store has, by number. NotFound when there is no such upload."""
        ...

    async def complete_upload(self, key: str, upload_id: str, parts: Sequence[Part]) -> None:
        """Make the blob of its parts, in the order of their numbers.

        Raises Invalid when a part is not as the store has it, NotFound when there is no such upload.
        """
        ...

    async def abort_upload(self, key: str, upload_id: str) -> None:
        """Drop the upload with its parts; one that is not there is gone already."""
        ...

    def list_uploads(self, prefix: str) -> AsyncIterator[Upload]:
        """Uploads under way, or left behind, whose key has the prefix."""
        ...

    async def sign_put(self, key: str, sha256: str, valid_s: int) -> SignedRequest:
        """A PUT of the whole blob; the store takes these bytes only."""
        ...

    async def sign_part(self, key: str, upload_id: str, number: int, valid_s: int) -> SignedRequest:
        """A PUT of a part; the answer's ETag header is wanted by `complete_upload`."""
        ...

    async def sign_get(
        self, key: str, valid_s: int, *, media_type: str = "", disposition: str = ""
    ) -> SignedRequest:
        """A GET of the blob, or of a range of it.

        media_type, disposition: of the answer, as Content-Type and Content-Disposition.
        """
        ...

    async def close(self) -> None: ...
