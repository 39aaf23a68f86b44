"""Blob storage: what every adapter promises.

A blob is bytes under a key; keys are texts of parts joined by `/`. A blob is written once
and never changed. `tests/contracts/test_blobs.py` holds every adapter to this page.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Blob:
    """A stored blob as a listing shows it."""

    key: str
    size: int


class BlobStore(Protocol):
    """Put, get, list, delete.

    Every method raises Retry when the store cannot be reached, SlowDown when it is full or
    overloaded, FailedPrecondition when the bucket is not there or the keys are not accepted.
    """

    async def put(self, key: str, data: bytes) -> None:
        """Store the blob if there is none under the key, whole or not at all.

        The store checks the bytes against their SHA-256 as they arrive. Raises AlreadyExists
        when there is one; it may be this one, stored by a try whose answer was lost.
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

    def list(self, prefix: str, after: str = "") -> AsyncIterator[Blob]:
        """Blobs whose key has the prefix and follows `after`, in the order of their keys."""
        ...

    async def delete(self, key: str) -> None:
        """Remove the blob; one that is not there is gone already."""
        ...

    async def close(self) -> None: ...
