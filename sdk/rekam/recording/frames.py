"""Rows of log calls, put together as the columns of frames."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterator, Sequence

from rekam.recording.key_sets import KeySet
from rekam_proto.ingest.v1 import views_pb2

WORD_BITS = "q"  # 64 bits, whatever they mean: steps, times and doubles are moved, never changed


def frame_bodies(
    handle: int, first_sequence: int, key_set: KeySet, rows: Sequence[bytes]
) -> Iterator[tuple[int, bytes]]:
    """(sequence, IngestRequest without id) of the frames that hold `rows`, in order."""
    sequence = first_sequence
    for start in range(0, len(rows), key_set.rows_per_frame):
        steps, times_us, values = transpose(rows[start : start + key_set.rows_per_frame], len(key_set.keys))
        frame = views_pb2.FrameView(
            run=handle,
            sequence=sequence,
            key_set=key_set.hash,
            steps=steps,
            times_us=times_us,
            values=values,
        )
        yield sequence, views_pb2.IngestRequestView(frame=frame).SerializeToString()
        sequence += 1


def transpose(rows: Sequence[bytes], columns: int) -> tuple[bytes, bytes, bytes]:
    """Steps, times and values (column by column) of rows as `KeySet.pack` makes them."""
    if len(rows) == 1:
        row = rows[0]
        return row[:8], row[8:16], row[16:]
    width = columns + 2
    flat = array(WORD_BITS)
    flat.frombytes(b"".join(rows))
    # An extended slice of an array is a strided copy in C. The words stay as they were
    # packed, so the host's byte order does not matter.
    values = b"".join([flat[column::width] for column in range(2, width)])
    return flat[0::width].tobytes(), flat[1::width].tobytes(), values


assert array(WORD_BITS).itemsize == 8, f"no 64-bit arrays on {sys.platform}"
