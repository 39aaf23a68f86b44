"""Segments: everything comes back, and nothing damaged is taken for whole."""

from __future__ import annotations

import random

import pytest

from rekam_runtime.archive.names import SegmentName, sha256_of
from rekam_runtime.archive.segment import (
    BLOCK_BYTES,
    TRAILER_BYTES,
    Damaged,
    Index,
    SegmentWriter,
    check_whole,
    read_block,
    read_index,
    read_records,
    read_trailer,
)
from rekam_runtime.errors import FailedPrecondition
from rekam_runtime.eventlog.port import Record


def written(records: list[Record], after: int = 0, context: bytes = b"") -> bytes:
    writer = SegmentWriter("REKAM_TRACKING", "20261124T000000-0", after)
    for record in records:
        writer.add(record)
        if writer.block_is_full:
            writer.close_block()
    return writer.finish(context)


def index_of(data: bytes) -> Index:
    offset, size, crc = read_trailer("s", data[-TRAILER_BYTES:])
    return read_index("s", data[offset : offset + size], crc)


def records_of(data: bytes) -> list[Record]:
    return [
        record for block in index_of(data).blocks for record in read_records("s", block, block.part_of(data))
    ]


RECORDS = [Record(12 + 3 * n + n % 2, f"s.ü{n % 5}", bytes([n]) * n * 9, 1_000_000 + n) for n in range(40)]


def test_records_come_back_with_position_subject_time_and_bytes() -> None:
    data = written(RECORDS, after=9)
    found = records_of(data)
    assert found == RECORDS
    assert [record.time_us for record in found] == [record.time_us for record in RECORDS]


def test_the_index_says_what_is_inside() -> None:
    index = check_whole("s", written(RECORDS, after=9, context=b"keys" * 100))
    assert (index.stream, index.log_id) == ("REKAM_TRACKING", "20261124T000000-0")
    assert (index.first, index.last, index.records) == (10, RECORDS[-1].position, 40)
    assert (index.first_time_us, index.last_time_us) == (1_000_000, 1_000_039)
    assert index.raw_bytes == sum(len(record.data) for record in RECORDS)
    assert index.context is not None
    data = written(RECORDS, after=9, context=b"keys" * 100)
    assert read_block("s", index.context, index.context.part_of(data)) == b"keys" * 100


def test_large_records_fill_blocks_that_are_read_one_by_one() -> None:
    generator = random.Random(1)
    records = [Record(n, "s.a", generator.randbytes(1_000_000), n) for n in range(1, 12)]
    data = written(records)
    blocks = index_of(data).blocks
    assert len(blocks) == 3
    assert all(block.raw_size <= BLOCK_BYTES + 1_000_100 for block in blocks)
    assert [(block.first, block.last) for block in blocks] == [(1, 5), (6, 10), (11, 11)]
    assert read_records("s", blocks[1], blocks[1].part_of(data)) == records[5:10]


def test_the_same_records_are_the_same_bytes() -> None:
    assert written(RECORDS) == written(RECORDS)


def test_positions_must_grow() -> None:
    writer = SegmentWriter("S", "l", 5)
    with pytest.raises(ValueError, match="record 5 comes after 5"):
        writer.add(Record(5, "s", b""))
    with pytest.raises(ValueError, match="at least one"):
        writer.finish()


def test_a_segment_that_is_cut_off_anywhere_is_named() -> None:
    data = written(RECORDS[:6], context=b"keys")
    for size in range(len(data)):
        with pytest.raises(Damaged, match="segment s "):
            check_whole("s", data[:size])


def test_a_flipped_bit_anywhere_is_named() -> None:
    data = written(RECORDS[:6], context=b"keys")
    for at in range(len(data)):
        flipped = bytearray(data)
        flipped[at] ^= 1 << at % 8
        with pytest.raises(FailedPrecondition, match="segment s "):
            check_whole("s", bytes(flipped))


def test_a_later_version_is_refused_not_guessed() -> None:
    data = bytearray(written(RECORDS[:1]))
    data[-12] = 2
    with pytest.raises(FailedPrecondition, match="format version 2; known is 1"):
        read_trailer("s", bytes(data[-TRAILER_BYTES:]))


def test_names_say_what_they_hold_in_order() -> None:
    name = SegmentName("REKAM_POINTS_0", "20261124T000000-0", 10, 99, sha256_of(b"x"))
    assert name.key == (
        "log/REKAM_POINTS_0/20261124T000000-0/00000000000000000010-00000000000000000099."
        "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881.segment"
    )
    assert SegmentName.parse(name.key) == name
    assert SegmentName.parse("log/REKAM_POINTS_0/readme.txt") is None
