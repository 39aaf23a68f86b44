"""Bodies of any length into a blob store, in memory that does not grow with them.

A body that is smaller than a part is put as it is. A longer one is cut into parts, a few of
which are on their way at a time. Either way its SHA-256 is computed as it passes.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
from collections.abc import AsyncGenerator, AsyncIterable, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass
from functools import partial

import structlog

from rekam_runtime.blobs.port import BlobStore, Part
from rekam_runtime.budget import ByteBudget
from rekam_runtime.errors import AlreadyExists, FailedPrecondition, RekamError

PART_BYTES = 8 * 1024 * 1024
# Parts double in size after so many: the 10,000 that S3 takes are then more than its 5 TB.
PARTS_OF_A_SIZE = 1_000
# Buffers of one body: one is filled while the others are sent.
_BUFFERS = 4
# Hashing more than this is done beside the event loop.
_LARGE = 256 * 1024

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Written:
    size: int
    sha256: str


async def write(
    store: BlobStore, key: str, body: AsyncIterable[bytes], budget: ByteBudget, size: int | None = None
) -> Written:
    """Store the body, whole or not at all, under a key that the caller made for it.

    budget: of the buffers of all bodies of this process.
    size: what the body is to have; FailedPrecondition when it ends before or goes on.
    """
    cutter = _Cutter(budget, body, size)
    upload: asyncio.Task[str] | None = None
    parts: list[asyncio.Task[Part]] = []
    try:
        async with aclosing(cutter.pieces()) as pieces, asyncio.TaskGroup() as sending:
            async for piece in pieces:
                if piece.number == 1 and len(piece.data) < PART_BYTES:
                    put = sending.create_task(_put(store, key, piece.data, cutter.written().sha256))
                    put.add_done_callback(piece.release)
                    continue
                if upload is None:
                    upload = sending.create_task(store.begin_upload(key))
                parts.append(sending.create_task(_put_part(store, key, upload, piece)))
                parts[-1].add_done_callback(piece.release)
        if upload is not None:
            await store.complete_upload(key, upload.result(), [part.result() for part in parts])
    except BaseException as error:
        if upload is not None and upload.done() and not upload.cancelled() and not upload.exception():
            await _abort(store, key, upload.result())
        if isinstance(error, ExceptionGroup):
            raise error.exceptions[0] from None
        raise
    return cutter.written()


async def _put(store: BlobStore, key: str, data: bytes, sha256: str) -> None:
    with suppress(AlreadyExists):  # by a try of ours whose answer was lost
        await store.put(key, data, sha256)


async def _put_part(store: BlobStore, key: str, upload: asyncio.Task[str], piece: _Piece) -> Part:
    return await store.put_part(key, await upload, piece.number, piece.data)


async def _abort(store: BlobStore, key: str, upload_id: str) -> None:
    try:
        await store.abort_upload(key, upload_id)
    except RekamError as error:  # what is left behind is found by `list_uploads`
        log.warning("an upload was not aborted", key=key, error=error.message)


@dataclass(frozen=True, slots=True)
class _Piece:
    """A buffer full of the body, or what is left of it.

    release: to be called when the data was sent, or never will be.
    """

    number: int
    data: bytes
    release: Callable[[object], None]


class _Cutter:
    """Cuts one body into pieces, and hashes it."""

    def __init__(self, budget: ByteBudget, body: AsyncIterable[bytes], size: int | None) -> None:
        self._budget = budget
        self._chunks = _Chunks(body, size)
        self._size = size
        self._free = asyncio.Semaphore(_BUFFERS)
        self._hashing = hashlib.sha256()
        self.taken = 0

    def written(self) -> Written:
        return Written(self.taken, self._hashing.hexdigest())

    async def pieces(self) -> AsyncGenerator[_Piece, None]:
        """At least one, be it empty; all but the last are as large as a part of their number."""
        number = 0
        while number == 0 or await self._chunks.more():
            number += 1
            limit = PART_BYTES << (number - 1) // PARTS_OF_A_SIZE
            held = limit if self._size is None else min(limit, self._size - self.taken)
            await self._free.acquire()
            await self._budget.acquire(held)
            handed_over = False
            try:
                data = await self._filled(limit)
                handed_over = True
                yield _Piece(number, data, partial(self._release, held))
            finally:
                if not handed_over:
                    self._release(held)

    async def _filled(self, limit: int) -> bytes:
        buffer = io.BytesIO()
        while buffer.tell() < limit and await self._chunks.more():
            buffer.write(self._chunks.take(limit - buffer.tell()))
        data = buffer.getvalue()
        self.taken += len(data)
        if len(data) > _LARGE:
            await asyncio.to_thread(self._hashing.update, data)
        else:
            self._hashing.update(data)
        return data

    def _release(self, held: int, _sent: object = None) -> None:
        self._budget.release(held)
        self._free.release()


class _Chunks:
    """The body's chunks, of which parts can be taken; FailedPrecondition when they are not of the size."""

    def __init__(self, body: AsyncIterable[bytes], size: int | None) -> None:
        self._body = aiter(body)
        self._size = size
        self._arrived = 0
        self._rest = memoryview(b"")

    async def more(self) -> bool:
        """Whether there are bytes to take; waits for them."""
        while not self._rest:
            chunk = await anext(self._body, None)
            if chunk is None:
                if self._size is not None and self._arrived < self._size:
                    raise FailedPrecondition(
                        f"the body ended after {self._arrived} of {self._size} bytes", field="size"
                    )
                return False
            self._arrived += len(chunk)
            if self._size is not None and self._arrived > self._size:
                raise FailedPrecondition(
                    f"the body has more than the {self._size} bytes it was to have", field="size"
                )
            self._rest = memoryview(chunk)
        return True

    def take(self, most: int) -> memoryview:
        taken, self._rest = self._rest[:most], self._rest[most:]
        return taken
