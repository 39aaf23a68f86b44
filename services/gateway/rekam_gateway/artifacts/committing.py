"""Group commit: files whose bytes are stored, listed together by one request.

While requests are on their way, what arrives is gathered; the next takes it all. So many small
files share an append to the log, with no timer that a single one would have to wait for.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc.aio

from rekam_proto.artifacts.v1 import artifact_pb2
from rekam_runtime.errors import Refused, RekamError, Retry
from rekam_runtime.rpc.status import error_from_rpc

if TYPE_CHECKING:
    from rekam_proto.artifacts.v1.storage_pb2_grpc import StorageServiceAsyncStub

# What the service takes in one request.
MOST_FILES = 1_000
MOST_BYTES = 800_000
IN_FLIGHT = 2

_FIELD = re.compile(r"files\[(\d+)\]\.(.+)")


@dataclass(slots=True)
class _Waiting:
    file: artifact_pb2.File
    actor: str
    listed: asyncio.Future[artifact_pb2.File]


class Committer:
    """Lists files; those of concurrent `put`s in any order. Whoever calls it bounds how many wait."""

    def __init__(self, storage: StorageServiceAsyncStub) -> None:
        self._storage = storage
        self._queue: deque[_Waiting] = deque()
        self._requests: set[asyncio.Task[None]] = set()

    async def put(self, file: artifact_pb2.File, actor: str = "") -> artifact_pb2.File:
        """The file as it is listed; raises what the service says of it, in terms of a single file."""
        waiting = _Waiting(file, actor, asyncio.get_running_loop().create_future())
        self._queue.append(waiting)
        if len(self._requests) < IN_FLIGHT:
            task = asyncio.create_task(self._commit_all(), name="list files")
            self._requests.add(task)
            task.add_done_callback(self._requests.discard)
        return await waiting.listed

    async def _commit_all(self) -> None:
        while batch := self._take():
            await self._commit(batch)

    def _take(self) -> list[_Waiting]:
        """The next files of one actor; of those that nobody waits for any more, none."""
        batch: list[_Waiting] = []
        size = 0
        while self._queue and len(batch) < MOST_FILES:
            waiting = self._queue[0]
            size += waiting.file.ByteSize() + 8
            if batch and (waiting.actor != batch[0].actor or size > MOST_BYTES):
                break
            self._queue.popleft()
            if not waiting.listed.cancelled():
                batch.append(waiting)
        return batch

    async def _commit(self, batch: list[_Waiting]) -> None:
        """A request lists all of its files or none: one that is refused leaves, the others go again."""
        while batch:
            request = artifact_pb2.PutFilesRequest(
                files=[waiting.file for waiting in batch], actor=batch[0].actor
            )
            try:
                answer = await self._storage.PutStoredFiles(request)
            except grpc.aio.AioRpcError as error:
                batch = self._fail(batch, error_from_rpc(error))
                continue
            for waiting, file in zip(batch, answer.files, strict=True):
                if not waiting.listed.cancelled():
                    waiting.listed.set_result(file)
            return

    def _fail(self, batch: list[_Waiting], error: RekamError) -> list[_Waiting]:
        """Answers those whom the error is about; the others."""
        found = _FIELD.fullmatch(error.field)
        if found is not None and int(found[1]) < len(batch):
            index = int(found[1])
            # Bytes that were given up meanwhile have to be sent again, which is no fault of the client's.
            kind = Retry if found[2] == "object_key" else type(error)
            _refuse(batch[index], kind(error.message, field=found[2]))
            return batch[:index] + batch[index + 1 :]
        if isinstance(error, Refused) and len(batch) > 1:
            # It does not say whom: each is asked for by itself.
            for waiting in reversed(batch[1:]):
                self._queue.appendleft(waiting)
            return batch[:1]
        for waiting in batch:
            _refuse(waiting, error)
        return []


def _refuse(waiting: _Waiting, error: RekamError) -> None:
    if not waiting.listed.cancelled():
        waiting.listed.set_exception(type(error)(error.message, field=error.field))
