"""Frames out of the log, as numpy views over the bytes that came."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import numpy as np
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from rekam_proto.event.v1.envelope_pb2 import Envelope
from rekam_proto.ingest.v1 import points_pb2, views_pb2
from rekam_runtime.errors import Quarantine
from rekam_runtime.eventlog.port import Record

EVENT_TYPE = points_pb2.PointsAppended.DESCRIPTOR.full_name
SCHEMA_VERSION = 1
WORD = 8


@dataclass(slots=True)
class StoredFrame:
    """n rows; `values` has the K columns one after the other, checked against K when it is known."""

    run_id: UUID
    writer: str
    rank: int | None
    sequence: int
    key_set: bytes
    steps: NDArray[np.int64]
    times_us: NDArray[np.int64]
    values: NDArray[np.float64]


def read(records: Sequence[Record]) -> tuple[dict[bytes, Sequence[str]], list[StoredFrame]]:
    """Key sets defined and frames, in order; raises Quarantine for what cannot be read."""
    defined: dict[bytes, Sequence[str]] = {}
    frames: list[StoredFrame] = []
    for record in records:
        for part in _parts(record):
            if part.HasField("key_set"):
                defined[part.key_set.hash] = list(part.key_set.keys)
            elif part.HasField("frame"):
                frames.append(_frame(part.frame, record.position))
    return defined, frames


def _parts(record: Record) -> Sequence[views_pb2.PointRecordView]:
    try:
        envelope = Envelope.FromString(record.data)
        if envelope.type != EVENT_TYPE or envelope.schema_version > SCHEMA_VERSION:
            raise Quarantine(
                f"record {record.position} is {envelope.type!r} version {envelope.schema_version}, "
                f"known is {EVENT_TYPE} up to {SCHEMA_VERSION}"
            )
        return views_pb2.PointsAppendedView.FromString(envelope.payload).records
    except DecodeError as error:
        raise Quarantine(f"record {record.position} cannot be read: {error}") from error


def _frame(view: views_pb2.StoredFrameView, position: int) -> StoredFrame:
    steps, times_us, values = view.steps, view.times_us, view.values
    fits = len(steps) % WORD == 0 and len(steps) == len(times_us) and steps and len(values) % len(steps) == 0
    if not fits or len(view.run_id) != 16 or not view.writer or not 0 < view.sequence < 2**63:
        raise Quarantine(f"record {position} has a frame that does not fit together")
    return StoredFrame(
        run_id=UUID(bytes=view.run_id),
        writer=view.writer,
        rank=view.rank if view.HasField("rank") else None,
        sequence=view.sequence,
        key_set=view.key_set,
        steps=np.frombuffer(steps, "<i8"),
        times_us=np.frombuffer(times_us, "<i8"),
        values=np.frombuffer(values, "<f8"),
    )
