"""Records of a points stream to frames: checked, numbers left as bytes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from google.protobuf.message import DecodeError

from rekam_proto.event.v1.envelope_pb2 import Envelope
from rekam_proto.ingest.v1 import ingest_pb2, points_pb2, views_pb2
from rekam_runtime import names
from rekam_runtime.errors import Quarantine
from rekam_runtime.eventlog.envelope import type_name
from rekam_runtime.eventlog.port import Record

WORD = 8
_SCHEMA_VERSION = 1
_EVENT = type_name(points_pb2.PointsAppended)


@dataclass(frozen=True, slots=True)
class Frame:
    """n rows by K keys of one writer; arrays are little-endian bytes, values key by key."""

    run_id: bytes
    writer: str
    rank: int | None
    sequence: int
    key_set: bytes
    rows: int
    steps: bytes
    times_us: bytes
    values: bytes


@dataclass(slots=True)
class PointBatch:
    """What records add up to. key_sets: keys by hash, those announced in these records."""

    frames: list[Frame]
    key_sets: dict[bytes, Sequence[str]]


def decode(records: Iterable[Record]) -> PointBatch:
    """Read records; raises Quarantine when one of them is malformed."""
    batch = PointBatch([], {})
    for record in records:
        try:
            _add(batch, record.data)
        except DecodeError as error:
            raise Quarantine(f"record {record.position} cannot be read: {error}") from error
    return batch


def _add(batch: PointBatch, data: bytes) -> None:
    envelope = Envelope.FromString(data)
    if envelope.type != _EVENT:
        raise Quarantine(f"a points stream has events {_EVENT}, this one is {envelope.type!r}")
    if envelope.schema_version > _SCHEMA_VERSION:
        raise Quarantine(f"{_EVENT} has schema version {envelope.schema_version}, known is {_SCHEMA_VERSION}")
    for record in views_pb2.PointsAppendedView.FromString(envelope.payload).records:
        match record.WhichOneof("body"):
            case "frame":
                batch.frames.append(_frame(record.frame))
            case "key_set":
                _check_key_set(record.key_set)
                batch.key_sets[record.key_set.hash] = record.key_set.keys
            case "text" | "seen":
                pass
            case _:
                raise Quarantine("a point record is neither a key set nor a frame")


def _check_key_set(key_set: ingest_pb2.KeySet) -> None:
    if key_set.hash != names.key_set_hash(key_set.keys):
        raise Quarantine("key_set.hash is not that of the keys")
    if not key_set.keys or len(set(key_set.keys)) != len(key_set.keys):
        raise Quarantine("a key set has at least one key, and no key twice")
    for key in key_set.keys:
        if fault := names.key_fault(key):
            raise Quarantine(f"key_set.keys: {fault}")


def _frame(view: views_pb2.StoredFrameView) -> Frame:
    run_id, writer, sequence = view.run_id, view.writer, view.sequence
    steps, times_us, values = view.steps, view.times_us, view.values
    rows, rest = divmod(len(steps), WORD)
    if len(run_id) != 16:
        raise Quarantine(f"frame.run_id has 16 bytes, this one has {len(run_id)}")
    if fault := names.writer_fault(writer):
        raise Quarantine(f"frame.writer: {fault}")
    if not 1 <= sequence <= names.MAX_SEQUENCE:
        raise Quarantine(f"frame.sequence is 1 to {names.MAX_SEQUENCE}, this one is {sequence}")
    if rest or not rows:
        raise Quarantine(f"frame.steps: {len(steps)} bytes are no steps")
    if len(times_us) != rows * WORD:
        raise Quarantine(f"frame.times_us: {rows} rows with {len(times_us)} bytes of times")
    if not values or len(values) % (rows * WORD):
        raise Quarantine(f"frame.values: {len(values)} bytes are no whole columns of {rows} rows")
    rank = view.rank if view.HasField("rank") else None
    return Frame(run_id, writer, rank, sequence, view.key_set, rows, steps, times_us, values)
