"""Collection of garbage: bytes that no file has, uploads that were given up, objects that nothing names.

In two steps that may lie any time apart. First an event says what was found; the projection takes away, in
the log's order, what nothing before the event needs. Then what was taken away is removed from S3, which an
event says too. A collector that dies in between leaves nothing that the next round does not find.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import structlog
from google.protobuf.message import Message

from rekam_artifacts.events import SERVICE
from rekam_artifacts.journal import Journal
from rekam_artifacts.reads import Reads
from rekam_proto.artifacts.v1.artifact_pb2 import CollectResponse, GarbageCollected, ObjectsRemoved
from rekam_proto.tracking.v1 import read_pb2
from rekam_runtime.blobs.port import BlobStore
from rekam_runtime.errors import RekamError
from rekam_runtime.eventlog.envelope import Cause
from rekam_runtime.postgres import Row, Statements

PREFIX = "blobs/"
# Of one event, and of one look at the tables.
_BATCH = 1_000
_REMOVED_AT_ONCE = 16
_AGGREGATE = "collection"
_STRONG = read_pb2.CONSISTENCY_STRONG
_statements = Statements.load("rekam_artifacts.collection", "query.sql")
_log = structlog.get_logger(__name__)


class Collector:
    """Finds and removes. grace_s: how long what seems to be needed by nobody is left alone."""

    def __init__(self, journal: Journal, reads: Reads, store: BlobStore, *, grace_s: float) -> None:
        self._journal = journal
        self._reads = reads
        self._store = store
        self._grace = timedelta(seconds=grace_s)

    async def run(self, every_s: float, sweep_every_s: float) -> None:
        """Round after round, until cancelled. sweep_every_s: pause between two listings of all objects."""
        swept: float | None = None
        while True:
            await asyncio.sleep(every_s)
            sweep = swept is None or time.monotonic() - swept >= sweep_every_s
            try:
                done = await self.collect(Cause(SERVICE), sweep=sweep)
            except RekamError as error:  # whatever is wrong with S3, events are projected
                _log.warning("collection.waits", reason=error.message)
                continue
            if sweep:
                swept = time.monotonic()
            if done.removed:
                _log.info(
                    "collection.done",
                    blobs=done.blobs,
                    bytes=done.bytes,
                    strays=done.strays,
                    uploads=done.uploads,
                    removed=done.removed,
                )

    async def collect(self, cause: Cause, *, sweep: bool = True, dry_run: bool = False) -> CollectResponse:
        """One round. sweep: look at every object in S3, too."""
        found = CollectResponse()
        before = datetime.now(UTC) - self._grace
        async for rows in self._pages(_statements.unreferenced, before, b""):
            found.blobs += len(rows)
            found.bytes += sum(row["size"] for row in rows)
            event = GarbageCollected(digests=[row["digest"] for row in rows])
            await self._write(event, cause, dry_run)
        async for rows in self._pages(_statements.old_uploads, before, UUID(int=0)):
            found.uploads += sum(not row["completed"] for row in rows)
            event = GarbageCollected(upload_ids=[row["upload_id"].hex for row in rows])
            await self._write(event, cause, dry_run)
        if sweep:
            async for keys in self._strays(before):
                found.strays += len(keys)
                await self._write(GarbageCollected(object_keys=keys), cause, dry_run)
            await self._abort_strays(before, dry_run)
        if not dry_run:
            found.removed = await self._remove(cause)
        return found

    async def _write(self, event: Message, cause: Cause, dry_run: bool) -> None:
        if not dry_run:
            await self._journal.write(event, _AGGREGATE, cause)

    async def _pages(self, statement: str, before: datetime, first: bytes | UUID) -> AsyncIterator[list[Row]]:
        """Rows older than a time, in the order of their first column."""
        after = first
        while True:
            async with self._reads.connection(_STRONG) as connection:
                rows = await connection.fetch(statement, _micros(before), after, _BATCH)
            if not rows:
                return
            after = rows[-1][0]
            yield rows

    async def _strays(self, before: datetime) -> AsyncIterator[list[str]]:
        """Keys of objects older than a time that nothing names."""
        keys: list[str] = []
        async for blob in self._store.list(PREFIX):
            if blob.stored <= before:
                keys.append(blob.key)
            if len(keys) == _BATCH:
                if strays := await self._unknown(keys):
                    yield strays
                keys = []
        if strays := await self._unknown(keys):
            yield strays

    async def _unknown(self, keys: Sequence[str]) -> list[str]:
        async with self._reads.connection(_STRONG) as connection:
            return [row["object_key"] for row in await connection.fetch(_statements.strays, keys)]

    async def _abort_strays(self, before: datetime, dry_run: bool) -> None:
        """Uploads in parts that S3 has and nothing names: cut off before anybody was told, or given up."""
        async for upload in self._store.list_uploads(PREFIX):
            if upload.begun <= before and not dry_run and await self._unknown([upload.key]):
                await self._store.abort_upload(upload.key, upload.upload_id)

    async def _remove(self, cause: Cause) -> int:
        """Remove from S3 what was taken away."""
        removed, after = 0, ""
        while True:
            async with self._reads.connection(_STRONG) as connection:
                rows = await connection.fetch(_statements.to_remove, after, _BATCH)
            if not rows:
                return removed
            after = rows[-1]["object_key"]
            for start in range(0, len(rows), _REMOVED_AT_ONCE):
                await asyncio.gather(
                    *(self._remove_one(row) for row in rows[start : start + _REMOVED_AT_ONCE])
                )
            await self._write(ObjectsRemoved(object_keys=[row["object_key"] for row in rows]), cause, False)
            removed += len(rows)

    async def _remove_one(self, row: Row) -> None:
        if row["multipart_id"]:
            await self._store.abort_upload(row["object_key"], row["multipart_id"])
        await self._store.delete(row["object_key"])


def _micros(time: datetime) -> int:
    return int(time.timestamp() * 1_000_000)
