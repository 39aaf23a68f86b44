"""Records of a spool and their bytes in a segment file. Format: docs/spool.md.

A record's body is the wire form of an IngestRequest without its id.
"""

from __future__ import annotations

import os
import struct
import zlib
from dataclasses import dataclass
from enum import IntEnum

MAGIC = b"RKMSPOOL"
# 2 added texts.
VERSION = 2
_READABLE = (1, 2)
# magic, version, position of the segment's first byte in the spool, CRC of what precedes.
SEGMENT_HEADER = struct.Struct("<8sIQI")
# length of the body, CRC of the rest of the header and the body; kind, handle, sequence, key set.
RECORD_HEADER = struct.Struct("<IIBxHQ16s")
_CHECKED = struct.Struct("<BxHQ16s")
_PREFIX = struct.Struct("<II")
# No record comes near: a frame and a key set have at most 1,000,000 bytes.
MAX_BODY = 64 * 1024 * 1024
NO_KEY_SET = bytes(16)


class Kind(IntEnum):
    """What a record is."""

    RUN = 1  # defines `handle` for the records after it in the segment (open_run)
    KEY_SET = 2  # defines `key_set` for the records after it in the segment (key_set)
    FRAME = 3
    CONTROL = 4
    TEXT = 5


_KINDS = frozenset(Kind)


@dataclass(frozen=True, slots=True)
class Record:
    """What is appended. handle, sequence, key_set: as in the body, zero where it has none."""

    kind: Kind
    body: bytes
    handle: int = 0
    sequence: int = 0
    key_set: bytes = NO_KEY_SET

    @property
    def size(self) -> int:
        """Bytes in the segment."""
        return RECORD_HEADER.size + len(self.body)


@dataclass(frozen=True, slots=True)
class Stored:
    """A record read from the spool, with the position of its first byte."""

    position: int
    record: Record


class Damaged(Exception):
    """The bytes at `position` are no record; `resume` is where the next one may begin, if known."""

    def __init__(self, position: int, reason: str, resume: int | None = None) -> None:
        super().__init__(f"position {position}: {reason}")
        self.position = position
        self.reason = reason
        self.resume = resume


def segment_header(base: int, version: int = VERSION) -> bytes:
    """First bytes of the segment that begins at position `base`."""
    head = SEGMENT_HEADER.pack(MAGIC, version, base, 0)[:-4]
    return head + struct.pack("<I", zlib.crc32(head))


def check_segment_header(data: bytes, base: int) -> None:
    """Raise Damaged when `data` is not the header of the segment at `base`."""
    if not any(data == segment_header(base, version) for version in _READABLE):
        raise Damaged(base, "the segment's header is damaged or of another version")


def encode_header(record: Record) -> bytes:
    """Header of a record; its body follows."""
    checked = _CHECKED.pack(record.kind, record.handle, record.sequence, record.key_set)
    return _PREFIX.pack(len(record.body), zlib.crc32(record.body, zlib.crc32(checked))) + checked


def read_record(fd: int, base: int, position: int, end: int) -> Stored:
    """The record at `position` of the segment at `base`, whose bytes end at `end`.

    Raises Damaged; with `resume` when only this record is at fault.
    """
    header = os.pread(fd, RECORD_HEADER.size, position - base)
    if len(header) < RECORD_HEADER.size or position + RECORD_HEADER.size > end:
        raise Damaged(position, "the record's header is cut off")
    length, crc, kind, handle, sequence, key_set = RECORD_HEADER.unpack(header)
    after = position + RECORD_HEADER.size + length
    if kind not in _KINDS:
        raise Damaged(position, f"there is no record of kind {kind}")
    if length > MAX_BODY or after > end:
        raise Damaged(position, f"a body of {length} bytes does not fit: cut off, or its length is damaged")
    body = os.pread(fd, length, position - base + RECORD_HEADER.size)
    if len(body) < length or zlib.crc32(body, zlib.crc32(header[_PREFIX.size :])) != crc:
        raise Damaged(position, "the checksum does not match", resume=after)
    return Stored(position, Record(Kind(kind), body, handle, sequence, key_set))
