"""The gateway as a writer: points that come without one of their own.

A client that streams numbers its frames itself, so that it can send them again. Requests have no
numbers: here each run gets a writer of the gateway's, whose frames count from 1 without gaps.
"""

from __future__ import annotations

import uuid
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from rekam_gateway import telemetry
from rekam_gateway.ingest.key_sets import KeySet
from rekam_gateway.ingest.publisher import ShardPublisher, serialized
from rekam_proto.ingest.v1 import ingest_pb2, views_pb2
from rekam_runtime.budget import ByteBudget
from rekam_runtime.errors import Retry
from rekam_runtime.eventlog.shards import shard_of
from rekam_runtime.names import key_set_hash

# Runs with a writer; one that was forgotten gets another.
WRITERS = 16_384
# Of key sets that are at hand.
KEY_SET_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Block:
    """Rows of the same keys; arrays are little-endian, values key by key."""

    keys: tuple[str, ...]
    steps: bytes
    times_us: bytes
    values: bytes

    @property
    def size(self) -> int:
        return len(self.steps) + len(self.times_us) + len(self.values)


@dataclass(slots=True)
class _Writer:
    name: str
    next_sequence: int = 1


class RunWriters:
    """Appends blocks to runs. What it holds of them counts in the budget of all that is taken in."""

    def __init__(
        self,
        publishers: Sequence[ShardPublisher],
        budget: ByteBudget,
        most: int = WRITERS,
        key_set_bytes: int = KEY_SET_BYTES,
    ) -> None:
        self._publishers = publishers
        self._budget = budget
        self._most = most
        self._writers: OrderedDict[bytes, _Writer] = OrderedDict()
        self._key_sets = _KeySets(key_set_bytes)

    async def write(self, run_id: bytes, blocks: Sequence[Block]) -> None:
        """Return when all of them are on disk.

        They go into the log together. Raises Retry when they may not be there; should they be, and
        be sent again, then each of their points is there twice, equal in everything.
        """
        size = sum(block.size for block in blocks)
        await self._budget.acquire(size)
        try:
            publisher = self._publishers[shard_of(run_id, len(self._publishers))]
            writer = self._writer(run_id)
            records = []
            for block in blocks:
                key_set = self._key_sets.get(block.keys)
                publisher.announce(key_set.hash, key_set.record)
                frame = views_pb2.StoredFrameView(
                    run_id=run_id,
                    sequence=writer.next_sequence,
                    key_set=key_set.hash,
                    steps=block.steps,
                    times_us=block.times_us,
                    values=block.values,
                    writer=writer.name,
                )
                writer.next_sequence += 1
                records.append(serialized(views_pb2.PointRecordView(frame=frame)))
            stored = publisher.put(b"".join(records))
            telemetry.frames.inc(len(blocks))
            telemetry.points.inc(sum(len(block.values) // 8 for block in blocks))
            try:
                await stored
            except Retry:
                # Its count has a gap now, if the frames are not there.
                if self._writers.get(run_id) is writer:
                    del self._writers[run_id]
                raise
        finally:
            self._budget.release(size)

    def forget(self) -> None:
        """Begin anew, as when the log is emptied."""
        self._writers.clear()

    def _writer(self, run_id: bytes) -> _Writer:
        writer = self._writers.get(run_id)
        if writer is None:
            writer = self._writers[run_id] = _Writer(f"gateway-{uuid.uuid4().hex[:16]}")
            if len(self._writers) > self._most:
                self._writers.popitem(last=False)
        self._writers.move_to_end(run_id)
        return writer


class _KeySets:
    """Key sets by their keys; those used least lately are made again beyond a bound."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._known: OrderedDict[tuple[str, ...], KeySet] = OrderedDict()

    def get(self, keys: tuple[str, ...]) -> KeySet:
        known = self._known.get(keys)
        if known is not None:
            self._known.move_to_end(keys)
            return known
        hash = key_set_hash(keys)
        record = serialized(views_pb2.PointRecordView(key_set=ingest_pb2.KeySet(hash=hash, keys=keys)))
        made = self._known[keys] = KeySet(hash, record, len(keys))
        self._bytes += len(record)
        while self._bytes > self._most_bytes and len(self._known) > 1:
            _, dropped = self._known.popitem(last=False)
            self._bytes -= len(dropped.record)
        return made
