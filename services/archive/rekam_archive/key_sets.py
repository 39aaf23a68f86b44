"""The context of a points segment: the key sets that its frames name or that it announces.

A gateway announces a key set once on each client's stream, so a frame may lie far behind it.
With its key sets in it, a segment can be read alone, whatever became of those before it.

Each key set is kept as a serialized `PointsAppended` of its own: such messages, joined, are one.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping

import structlog
from google.protobuf.message import DecodeError

from rekam_archive import telemetry
from rekam_proto.event.v1.envelope_pb2 import Envelope
from rekam_proto.ingest.v1 import points_pb2, views_pb2
from rekam_runtime.archive.names import Catalogue
from rekam_runtime.archive.reading import load_index
from rekam_runtime.archive.segment import Damaged, read_block
from rekam_runtime.blobs.port import BlobStore
from rekam_runtime.eventlog.envelope import type_name
from rekam_runtime.eventlog.port import Record

_REMEMBERED_BYTES = 32 * 1024 * 1024
_POINTS = type_name(points_pb2.PointsAppended)

_log = structlog.get_logger(__name__)


class KeySets:
    """Key sets of one stream, by hash; those used least lately are forgotten beyond a bound."""

    def __init__(self, store: BlobStore) -> None:
        self._store = store
        self._known: OrderedDict[bytes, bytes] = OrderedDict()
        self._size = 0

    def get(self, hash: bytes) -> bytes | None:
        """A key set that was used lately."""
        if hash in self._known:
            self._known.move_to_end(hash)
        return self._known.get(hash)

    def remember(self, key_sets: Mapping[bytes, bytes]) -> None:
        for hash, key_set in key_sets.items():
            if hash not in self._known:
                self._known[hash] = key_set
                self._size += len(key_set)
        while self._size > _REMEMBERED_BYTES:
            self._size -= len(self._known.popitem(last=False)[1])

    async def find(self, hashes: set[bytes], catalogue: Catalogue) -> dict[bytes, bytes]:
        """Those of the key sets that earlier segments have; the latest is looked at first."""
        found: dict[bytes, bytes] = {}
        for segment in reversed(catalogue.segments):
            if found.keys() == hashes:
                break
            key = segment.name.key
            try:
                context = (await load_index(self._store, segment)).context
                if context is None:
                    continue
                data = await self._store.get_range(key, context.offset, context.size)
                there = _announced(views_pb2.PointsAppendedView.FromString(read_block(key, context, data)))
            except Damaged as error:
                telemetry.DAMAGED.labels(segment.name.stream).inc()
                _log.error("archive.damaged", segment=key, error=error.message)
                continue
            found |= {hash: there[hash] for hash in hashes & there.keys()}
        self.remember(found)
        return found


class SegmentKeySets:
    """The key sets of one segment, gathered while its records are."""

    def __init__(self, known: KeySets) -> None:
        self._known = known
        self._key_sets: dict[bytes, bytes] = {}
        self._missing: set[bytes] = set()
        self.size = 0

    def add(self, record: Record) -> None:
        """See what a record names and announces; one that is no points' is none of ours."""
        try:
            envelope = Envelope.FromString(record.data)
            if envelope.type != _POINTS:
                return
            points = views_pb2.PointsAppendedView.FromString(envelope.payload)
        except DecodeError:
            return  # a projection sets it aside
        self._take(_announced(points))
        for hash in {each.frame.key_set for each in points.records if each.HasField("frame")}:
            if hash not in self._key_sets and hash not in self._missing:
                known = self._known.get(hash)
                if known is None:
                    self._missing.add(hash)
                else:
                    self._take({hash: known})

    async def context(self, catalogue: Catalogue) -> bytes:
        """All of them, as one `PointsAppended`."""
        missing = self._missing - self._key_sets.keys()
        if missing:
            found = await self._known.find(missing, catalogue)
            if lost := missing - found.keys():
                _log.warning("archive.key_set_unknown", hash=min(lost).hex(), more=len(lost) - 1)
            self._take(found)
        self._known.remember(self._key_sets)
        return b"".join(self._key_sets[hash] for hash in sorted(self._key_sets))

    def _take(self, key_sets: Mapping[bytes, bytes]) -> None:
        new = {hash: key_set for hash, key_set in key_sets.items() if hash not in self._key_sets}
        self._key_sets |= new
        self.size += sum(map(len, new.values()))


def _announced(points: views_pb2.PointsAppendedView) -> dict[bytes, bytes]:
    """Key sets by hash, each as a message of its own."""
    return {
        record.key_set.hash: views_pb2.PointsAppendedView(records=[record]).SerializeToString()
        for record in points.records
        if record.HasField("key_set")
    }
