"""Records of a spool and their bytes in a segment file. Format: docs/spool.md.

A record's body is the wire form of an IngestRequest without its id.
"""

from __future__ import annotations

import os
import re
import struct
import zlib
from dataclasses import dataclass
from enum import IntEnum

MAGIC = b"RKMSPOOL"
# 2 added texts, and runs that are waited for.
VERSION = 2
_READABLE = (1, 2)
# magic, version, position of the segment's first byte in the spool, CRC of what precedes.
SEGMENT_HEADER = struct.Struct("<8sIQI")
# length of the body, CRC of the rest of the header and the body; kind, flags, handle, sequence, key set.
RECORD_HEADER = struct.Struct("<IIBBHQ16s")
_CHECKED = struct.Struct("<BBHQ16s")
_PREFIX = struct.Struct("<II")
# No record comes near: a frame and a key set have at most 1,000,000 bytes.
MAX_BODY = 64 * 1024 * 1024
NO_KEY_SET = bytes(16)
_WAITS = 1
_SCAN_BYTES = 1024 * 1024


class Kind(IntEnum):
    """What a record is."""

    RUN = 1  # defines `handle` for the records after it in the segment (open_run)
    KEY_SET = 2  # defines `key_set` for the records after it in the segment (key_set)
    FRAME = 3
    CONTROL = 4
    TEXT = 5


_KINDS = frozenset(Kind)
# Where a record's kind and flags may stand.
_CANDIDATE = re.compile(b"(?=[" + re.escape(bytes(Kind)) + b"][\x00\x01])")


@dataclass(frozen=True, slots=True)
class Record:
    """What is appended. handle, sequence, key_set: as in the body, zero where it has none.

    waits: of a run, or a control record about one, that was resumed without the server's word:
    kept until the server knows the run.
    """

    kind: Kind
    body: bytes
    handle: int = 0
    sequence: int = 0
    key_set: bytes = NO_KEY_SET
    waits: bool = False

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
    """The bytes from `position` to `resume` are no records.

    likely: what the damaged record's header says, which may be wrong.
    """

    def __init__(self, position: int, resume: int, reason: str, likely: Record | None = None) -> None:
        super().__init__(f"position {position}: {reason}")
        self.position = position
        self.resume = resume
        self.reason = reason
        self.likely = likely


def segment_header(base: int, version: int = VERSION) -> bytes:
    """First bytes of the segment that begins at position `base`."""
    head = SEGMENT_HEADER.pack(MAGIC, version, base, 0)[:-4]
    return head + struct.pack("<I", zlib.crc32(head))


def check_segment_header(data: bytes, base: int, end: int) -> None:
    """Raise Damaged when `data` is not the header of the segment at `base`.

    The records behind a damaged header are as good as ever; those of another version are not read.
    """
    if any(data == segment_header(base, version) for version in _READABLE):
        return
    if len(data) < SEGMENT_HEADER.size:
        raise Damaged(base, end, "the segment's header is cut off")
    _, version, stated, _ = SEGMENT_HEADER.unpack(data)
    if version not in _READABLE and data == segment_header(stated, version):
        raise Damaged(base, end, f"the segment is of another version, {version}")
    raise Damaged(base, base + SEGMENT_HEADER.size, "the segment's header is damaged")


def encode_header(record: Record) -> bytes:
    """Header of a record; its body follows."""
    flags = _WAITS if record.waits else 0
    checked = _CHECKED.pack(record.kind, flags, record.handle, record.sequence, record.key_set)
    return _PREFIX.pack(len(record.body), zlib.crc32(record.body, zlib.crc32(checked))) + checked


def read_record(fd: int, base: int, position: int, end: int) -> Stored:
    """The record at `position` of the segment at `base`, whose bytes end at `end`; or Damaged."""
    header = os.pread(fd, min(RECORD_HEADER.size, end - position), position - base)
    stored = _read_body(fd, base, position, end, header)
    if stored is not None:
        return stored
    resume = _next_whole(fd, base, position + 1, end)
    if len(header) < RECORD_HEADER.size:
        raise Damaged(position, resume, "the record's header is cut off")
    length, _, kind, flags, handle, sequence, key_set = RECORD_HEADER.unpack(header)
    if kind not in _KINDS:
        raise Damaged(position, resume, f"there is no record of kind {kind}")
    likely = Record(Kind(kind), b"", handle, sequence, key_set, bool(flags & _WAITS))
    if position + RECORD_HEADER.size + length > end:
        reason = f"a body of {length} bytes does not fit: it is cut off, or its length is damaged"
        raise Damaged(position, resume, reason, likely)
    raise Damaged(position, resume, "the checksum does not match", likely)


def _read_body(fd: int, base: int, position: int, end: int, header: bytes) -> Stored | None:
    """The whole record that begins with `header`, if it is one."""
    if len(header) < RECORD_HEADER.size:
        return None
    length, crc, kind, flags, handle, sequence, key_set = RECORD_HEADER.unpack(header)
    if kind not in _KINDS or length > min(MAX_BODY, end - position - RECORD_HEADER.size):
        return None
    body = os.pread(fd, length, position - base + RECORD_HEADER.size)
    if len(body) < length or zlib.crc32(body, zlib.crc32(header[_PREFIX.size :])) != crc:
        return None
    return Stored(position, Record(Kind(kind), body, handle, sequence, key_set, bool(flags & _WAITS)))


def _next_whole(fd: int, base: int, start: int, end: int) -> int:
    """Position of the first whole record from `start` on, or `end`.

    A damaged length says nothing about where the next record is, so every place is looked at;
    a checksum over header and body tells a record from bytes that look like one.
    """
    for window in range(start, end, _SCAN_BYTES):
        # A header that begins in this window may end in the next one.
        size = min(_SCAN_BYTES + RECORD_HEADER.size, end - window)
        data = os.pread(fd, size, window - base)
        for found in _CANDIDATE.finditer(data, _PREFIX.size):
            offset = found.start() - _PREFIX.size
            header = data[offset : offset + RECORD_HEADER.size]
            if _read_body(fd, base, window + offset, end, header) is not None:
                return window + offset
    return end
