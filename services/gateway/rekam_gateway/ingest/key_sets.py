"""Key sets that were checked, one of each for all the streams that have sent it.

A thousand training processes have the same keys, thousands of them: checking them is the most
expensive thing a stream asks for, and keeping them would be the largest thing it holds.
"""

from __future__ import annotations

from dataclasses import dataclass
from weakref import WeakValueDictionary

from rekam_gateway.ingest import rules
from rekam_gateway.ingest.publisher import serialized
from rekam_proto.ingest.v1 import ingest_pb2, views_pb2


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class KeySet:
    """record: as it goes into the log."""

    hash: bytes
    record: bytes
    columns: int


class KeySets:
    """Key sets by hash; one that no stream holds any more is forgotten."""

    def __init__(self) -> None:
        self._held: WeakValueDictionary[bytes, KeySet] = WeakValueDictionary()

    def admit(self, sent: ingest_pb2.KeySet) -> KeySet:
        """The key set, checked; raises Invalid when it breaks a rule."""
        record = serialized(views_pb2.PointRecordView(key_set=sent))
        held = self._held.get(sent.hash)
        if held is not None and held.record == record:
            return held
        rules.check_key_set(sent)
        return self._held.setdefault(sent.hash, KeySet(sent.hash, record, len(sent.keys)))
