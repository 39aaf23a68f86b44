"""Rows become frames: columns, split at the limit, no bit changed."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rekam.recording.frames import frame_bodies
from rekam.recording.key_sets import FRAME_BYTES, KeySet
from rekam_proto.ingest.v1 import ingest_pb2

int64 = st.integers(-(2**63), 2**63 - 1)


@given(
    columns=st.integers(1, 5),
    rows=st.lists(
        st.tuples(int64, int64, st.lists(st.binary(min_size=8, max_size=8), min_size=5, max_size=5))
    ),
)
def test_every_number_finds_its_place(columns: int, rows: list[tuple[int, int, list[bytes]]]) -> None:
    key_set = KeySet(tuple("abcde"[:columns]))
    packed = [
        struct.pack("<qq", step, time_us) + b"".join(values[:columns]) for step, time_us, values in rows
    ]
    bodies = list(frame_bodies(3, 10, key_set, packed))
    assert len(bodies) == (1 if rows else 0)
    for sequence, body in bodies:
        frame = ingest_pb2.IngestRequest.FromString(body).frame
        assert (frame.run, frame.sequence, frame.key_set) == (3, sequence, key_set.hash)
        assert list(frame.steps) == [step for step, _, _ in rows]
        assert list(frame.times_us) == [time_us for _, time_us, _ in rows]
        wanted = b"".join(values[k] for k in range(columns) for _, _, values in rows)
        assert wanted in body


@pytest.mark.parametrize("columns", [1, 100, 4_000, 65_536])
def test_large_frames_are_split(columns: int) -> None:
    key_set = KeySet(tuple(f"k{i}" for i in range(columns)))
    row = key_set.pack(1, 2, *[0.5] * columns)
    count = 2 * key_set.rows_per_frame + 1
    bodies = list(frame_bodies(0, 5, key_set, [row] * count))
    assert [sequence for sequence, _ in bodies] == [5, 6, 7]
    assert all(len(body) <= max(FRAME_BYTES, key_set.row_bytes) + 200 for _, body in bodies)
    assert all(len(body) <= 1_000_000 for _, body in bodies)
    frames = [ingest_pb2.IngestRequest.FromString(body).frame for _, body in bodies]
    assert sum(len(frame.steps) for frame in frames) == count
    assert sum(len(frame.values) for frame in frames) == count * columns


def test_the_hash_is_the_documented_one() -> None:
    import hashlib

    digest = hashlib.sha256()
    for key in ("loss", "été"):
        digest.update(len(key.encode()).to_bytes(4, "big") + key.encode())
    assert KeySet(("loss", "été")).hash == digest.digest()[:16]
