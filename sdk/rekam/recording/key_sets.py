"""Key sets: the names of a frame's columns, checked once and named by their hash."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable
from typing import Any

from rekam.errors import Invalid
from rekam.keys import check_key
from rekam.spool.records import Kind
from rekam.spool.spool import Definition
from rekam_proto.ingest.v1 import ingest_pb2

MAX_KEYS = 65_536
MAX_KEY_SET_BYTES = 1_000_000
WORD = 8  # bytes of a step, a time or a value
# A frame may have 1,000,000 bytes; smaller ones share an append of the gateway better.
FRAME_BYTES = 480_000
# Key sets that are remembered; a program with more makes a new name at every call.
_REMEMBERED = 4_096


class KeySet:
    """A checked set of keys in the caller's order.

    pack(step, time_us, *values) is a row: little-endian int64, int64, then a double per key.
    It checks the numbers while it copies them, in C.
    """

    __slots__ = ("definition", "hash", "keys", "pack", "row_bytes", "rows_per_frame")

    def __init__(self, keys: tuple[str, ...]) -> None:
        if len(keys) > MAX_KEYS:
            raise Invalid(f"one call takes up to {MAX_KEYS} metrics, got {len(keys)}", field="metrics")
        digest = hashlib.sha256()
        for key in keys:
            encoded = check_key(key, "metric").encode()
            digest.update(struct.pack(">I", len(encoded)))
            digest.update(encoded)
        self.keys = keys
        self.hash = digest.digest()[:16]
        message = ingest_pb2.KeySet(hash=self.hash, keys=keys)
        if message.ByteSize() > MAX_KEY_SET_BYTES:
            raise Invalid(
                f"the keys of one call have up to {MAX_KEY_SET_BYTES} bytes together, "
                f"got {message.ByteSize()}: log them in several calls",
                field="metrics",
            )
        body = ingest_pb2.IngestRequest(key_set=message).SerializeToString()
        self.definition = Definition(Kind.KEY_SET, 0, self.hash, body)
        self.pack: Callable[..., bytes] = struct.Struct(f"<qq{len(keys)}d").pack
        self.row_bytes = WORD * (2 + len(keys))
        self.rows_per_frame = max(1, FRAME_BYTES // self.row_bytes)


_known: dict[tuple[str, ...], KeySet] = {}


def key_set_of(keys: tuple[str, ...]) -> KeySet:
    """The key set of `keys`; raises Invalid naming the key at fault."""
    found = _known.get(keys)
    if found is None:
        found = KeySet(keys)
        if len(_known) >= _REMEMBERED:
            _known.clear()
        _known[keys] = found
    return found


def row_fault(keys: tuple[str, ...], step: Any, time_us: Any, values: tuple[Any, ...]) -> Invalid:
    """Why `pack` refused a row."""
    for name, number in (("step", step), ("timestamp", time_us)):
        try:
            struct.pack("<q", number)
        except struct.error:
            return Invalid(f"{name} must be a 64-bit integer, got {number!r:.80}", field=name)
    for key, value in zip(keys, values, strict=True):
        try:
            struct.pack("<d", value)
        except struct.error:
            return Invalid(
                f"must be a number, got {type(value).__name__} {value!r:.80}", field=f"metrics[{key!r}]"
            )
    return Invalid("the metrics were changed by another thread while they were logged", field="metrics")
