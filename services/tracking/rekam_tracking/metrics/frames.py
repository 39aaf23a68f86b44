"""Frames of a points stream: checked, numbers left as bytes."""

from __future__ import annotations

from dataclasses import dataclass

from rekam_proto.ingest.v1 import ingest_pb2, views_pb2
from rekam_runtime import names
from rekam_runtime.errors import Quarantine
from rekam_tracking.writers import Sent, check_sequence, check_writer

WORD = 8


@dataclass(frozen=True, slots=True)
class Frame(Sent):
    """n rows by K keys of one writer; arrays are little-endian bytes, values key by key."""

    key_set: bytes
    rows: int
    steps: bytes
    times_us: bytes
    values: bytes

    @property
    def points(self) -> int:
        return len(self.values) // WORD


def frame_of(view: views_pb2.StoredFrameView, heard_us: int) -> Frame:
    """Raises Quarantine when it is malformed."""
    run_id, writer, sequence = view.run_id, view.writer, view.sequence
    steps, times_us, values = view.steps, view.times_us, view.values
    rows, rest = divmod(len(steps), WORD)
    check_writer(run_id, writer, "frame")
    check_sequence(sequence, "frame")
    if rest or not rows:
        raise Quarantine(f"frame.steps: {len(steps)} bytes are no steps")
    if len(times_us) != rows * WORD:
        raise Quarantine(f"frame.times_us: {rows} rows with {len(times_us)} bytes of times")
    if not values or len(values) % (rows * WORD):
        raise Quarantine(f"frame.values: {len(values)} bytes are no whole columns of {rows} rows")
    rank = view.rank if view.HasField("rank") else None
    return Frame(run_id, writer, rank, sequence, heard_us, view.key_set, rows, steps, times_us, values)


def check_key_set(key_set: ingest_pb2.KeySet) -> None:
    """Raises Quarantine when it is malformed."""
    if key_set.hash != names.key_set_hash(key_set.keys):
        raise Quarantine("key_set.hash is not that of the keys")
    if not key_set.keys or len(set(key_set.keys)) != len(key_set.keys):
        raise Quarantine("a key set has at least one key, and no key twice")
    for key in key_set.keys:
        if fault := names.key_fault(key):
            raise Quarantine(f"key_set.keys: {fault}")
