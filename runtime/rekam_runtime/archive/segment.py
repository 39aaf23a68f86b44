"""A segment: consecutive records of one stream as one file, compressed, checked, indexed.

docs/archive.md describes it byte by byte. Blocks come first and the index last, so that a
segment is written in one go and any part of it can be read by two ranged reads.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass

from numcodecs.zstd import Zstd

from rekam_runtime.errors import FailedPrecondition
from rekam_runtime.eventlog.port import Record

MAGIC = b"RKMSEGMT"
VERSION = 1
# Of a block before it is compressed; a single greater record is a block of its own.
BLOCK_BYTES = 4 * 1024 * 1024

# What zstd 3 gains in size (a tenth) costs half of the speed: see docs/adr/0011.
_zstd = Zstd(level=1)

_HEADER = struct.Struct("<8sII")  # magic, version, CRC of the 12 bytes before
_RECORD = struct.Struct("<QqIH")  # position, time, length of the data, length of the subject
_TOTALS = struct.Struct("<QQQQqqQIIIHHI")
_BLOCK = struct.Struct("<QQqqQIIII")
_TRAILER = struct.Struct("<QIII8s")  # index: offset, size, CRC; version; magic
TRAILER_BYTES = _TRAILER.size


class Damaged(FailedPrecondition):
    """A segment's bytes are not those that were written."""


@dataclass(frozen=True, slots=True)
class Block:
    """Some records of a segment, compressed together.

    offset, size: of its bytes in the segment; raw_size: before compression.
    crc: CRC-32 of its bytes.
    """

    first: int
    last: int
    first_time_us: int
    last_time_us: int
    offset: int
    size: int
    raw_size: int
    records: int
    crc: int

    def part_of(self, data: bytes, start: int = 0) -> bytes:
        """The block's bytes, of the segment's bytes from `start` on."""
        return data[self.offset - start : self.offset - start + self.size]


@dataclass(frozen=True, slots=True)
class Index:
    """What a segment holds: every record that the stream had from `first` to `last`.

    raw_bytes: of the records' data.
    context: see `SegmentWriter.finish`; a block without records, or None.
    """

    stream: str
    log_id: str
    first: int
    last: int
    records: int
    raw_bytes: int
    first_time_us: int
    last_time_us: int
    context: Block | None
    blocks: tuple[Block, ...]


class SegmentWriter:
    """Gathers records and makes a segment of them.

    after: the segment has every record that the stream has past this position.
    """

    def __init__(self, stream: str, log_id: str, after: int) -> None:
        self.stream = stream
        self.log_id = log_id
        self.first = after + 1
        self.last = after
        self.records = 0
        self.raw_bytes = 0
        self.first_time_us = 0
        self.last_time_us = 0
        header = _HEADER.pack(MAGIC, VERSION, 0)
        # What is written so far; joined once, for a segment is the largest thing in memory.
        self._parts = [_HEADER.pack(MAGIC, VERSION, zlib.crc32(header[:-4]))]
        self._size = _HEADER.size
        self._blocks: list[Block] = []
        self._open: list[Record] = []
        self._open_bytes = 0

    @property
    def block_is_full(self) -> bool:
        """Whether `close_block` is due; it takes a while, so it is the caller's to place."""
        return self._open_bytes >= BLOCK_BYTES

    def add(self, record: Record) -> None:
        """Take the next record."""
        if record.position <= self.last:
            raise ValueError(f"record {record.position} comes after {self.last}")
        if not self.records:
            self.first_time_us = record.time_us
        self.last = record.position
        self.last_time_us = record.time_us
        self.records += 1
        self.raw_bytes += len(record.data)
        self._open.append(record)
        self._open_bytes += len(record.data) + len(record.subject) + _RECORD.size

    def close_block(self) -> None:
        """Compress what was taken since the last block."""
        if self._open:
            records, self._open, self._open_bytes = self._open, [], 0
            self._blocks.append(self._append(_pack(records), records))

    def finish(self, context: bytes = b"") -> bytes:
        """The whole segment, which the writer keeps nothing of.

        context: what a reader who begins with this segment needs of the log before it;
            its meaning is the stream's.
        """
        if not self.records:
            raise ValueError("a segment has at least one record")
        self.close_block()
        stored = self._append(context, ()) if context else None
        index = self._index(stored)
        trailer = _TRAILER.pack(self._size, len(index), zlib.crc32(index), VERSION, MAGIC)
        parts, self._parts = [*self._parts, index, trailer], []
        return b"".join(parts)

    def _append(self, raw: bytes, records: Sequence[Record]) -> Block:
        packed: bytes = _zstd.encode(raw)
        offset = self._size
        self._parts.append(packed)
        self._size += len(packed)
        first, last = (records[0], records[-1]) if records else (_NO_RECORD, _NO_RECORD)
        return Block(
            first.position,
            last.position,
            first.time_us,
            last.time_us,
            offset,
            len(packed),
            len(raw),
            len(records),
            zlib.crc32(packed),
        )

    def _index(self, context: Block | None) -> bytes:
        stream, log_id = self.stream.encode(), self.log_id.encode()
        totals = _TOTALS.pack(
            self.first,
            self.last,
            self.records,
            self.raw_bytes,
            self.first_time_us,
            self.last_time_us,
            context.offset if context else 0,
            context.size if context else 0,
            context.raw_size if context else 0,
            context.crc if context else 0,
            len(stream),
            len(log_id),
            len(self._blocks),
        )
        return b"".join([totals, stream, log_id, *(_BLOCK.pack(*astuple(block)) for block in self._blocks)])


_NO_RECORD = Record(0, "", b"")


def _pack(records: Sequence[Record]) -> bytes:
    parts: list[bytes] = []
    for record in records:
        subject = record.subject.encode()
        parts += (_RECORD.pack(record.position, record.time_us, len(record.data), len(subject)), subject)
        parts.append(record.data)
    return b"".join(parts)


def read_trailer(name: str, trailer: bytes) -> tuple[int, int, int]:
    """Offset, size and CRC of the index; `name` is what a Damaged says is damaged."""
    if len(trailer) != TRAILER_BYTES:
        raise Damaged(f"segment {name} is cut off")
    offset, size, crc, version, magic = _TRAILER.unpack(trailer)
    if magic != MAGIC:
        raise Damaged(f"segment {name} is cut off, or no segment: it does not end as one")
    if version != VERSION:
        raise FailedPrecondition(f"segment {name} has format version {version}; known is {VERSION}")
    return offset, size, crc


def read_index(name: str, data: bytes, crc: int) -> Index:
    """The index from its bytes."""
    if zlib.crc32(data) != crc:
        raise Damaged(f"segment {name} is damaged: its index does not match its checksum")
    totals = _TOTALS.unpack_from(data)
    offset, size, raw_size, context_crc = totals[6:10]
    stream_size, log_id_size, blocks = totals[10:]
    names = _TOTALS.size
    start = names + stream_size + log_id_size
    first, last, records, raw_bytes, first_time_us, last_time_us = totals[:6]
    return Index(
        stream=data[names : names + stream_size].decode(),
        log_id=data[names + stream_size : start].decode(),
        first=first,
        last=last,
        records=records,
        raw_bytes=raw_bytes,
        first_time_us=first_time_us,
        last_time_us=last_time_us,
        context=Block(0, 0, 0, 0, offset, size, raw_size, 0, context_crc) if size else None,
        blocks=tuple(Block(*_BLOCK.unpack_from(data, start + n * _BLOCK.size)) for n in range(blocks)),
    )


def read_block(name: str, block: Block, data: bytes) -> bytes:
    """A block's bytes, checked and decompressed."""
    if len(data) != block.size or zlib.crc32(data) != block.crc:
        what = f"records {block.first} to {block.last}" if block.records else "its context"
        raise Damaged(f"segment {name} is damaged: {what} (block at byte {block.offset})")
    raw: bytes = _zstd.decode(data)
    return raw


def read_records(name: str, block: Block, data: bytes) -> list[Record]:
    """The records of a block."""
    records = list(_unpack(read_block(name, block, data)))
    if len(records) != block.records:
        raise Damaged(f"segment {name} is damaged: {len(records)} of {block.records} records in a block")
    return records


def _unpack(raw: bytes) -> Iterator[Record]:
    subjects: dict[bytes, str] = {}
    at = 0
    while at < len(raw):
        position, time_us, data_size, subject_size = _RECORD.unpack_from(raw, at)
        at += _RECORD.size
        encoded = raw[at : at + subject_size]
        at += subject_size
        subject = subjects.get(encoded) or subjects.setdefault(encoded, encoded.decode())
        yield Record(position, subject, raw[at : at + data_size], time_us)
        at += data_size


def check_whole(name: str, data: bytes) -> Index:
    """The index of a whole segment, after everything in it was read."""
    if len(data) < _HEADER.size + TRAILER_BYTES:
        raise Damaged(f"segment {name} is cut off")
    magic, version, crc = _HEADER.unpack_from(data)
    if magic != MAGIC or zlib.crc32(data[: _HEADER.size - 4]) != crc:
        raise Damaged(f"segment {name} is damaged: it does not begin as one")
    if version != VERSION:
        raise FailedPrecondition(f"segment {name} has format version {version}; known is {VERSION}")
    offset, size, index_crc = read_trailer(name, data[-TRAILER_BYTES:])
    index = read_index(name, data[offset : offset + size], index_crc)
    for block in index.blocks:
        read_records(name, block, block.part_of(data))
    if index.context:
        read_block(name, index.context, index.context.part_of(data))
    return index
