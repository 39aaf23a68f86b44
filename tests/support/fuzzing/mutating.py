"""Changes at random: of a message's fields, and of its bytes. The same seed makes the same changes."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

TEXTS = (
    "",
    " ",
    "\0",
    "a\0b",
    "..",
    "a//b",
    "/a",
    "a/../b",
    "x" * 251,
    "y" * 10_000,
    "😀" * 250,
    "e\u0301\u202e\ufeff",
    "\ud7ff\ue000\U0010ffff",
    "' OR 1=1 --",
    "%s %n {0} $1 \\",
    "-1",
    "99999999999999999999",
    "١٢٣",
    "0x10",
    "NaN",
    "1e999",
    "a = 'b",
    "(" * 500,
    "metrics.m > 0 AND " * 200 + "metrics.m > 0",
    "tags.`a` LIKE '%" + "%a" * 200 + "'",
    "mlflow.runName",
    "W10",
    "e30",
)
DOUBLES = tuple(
    struct.unpack("<d", struct.pack("<Q", bits))[0]
    for bits in (
        0x7FF8_0000_0000_0000,  # NaN
        0xFFF8_0000_DEAD_BEEF,  # NaN with a payload
        0x7FF0_0000_0000_0001,  # signalling NaN
        0x7FF0_0000_0000_0000,
        0xFFF0_0000_0000_0000,
        0x8000_0000_0000_0000,
        0x0000_0000_0000_0001,
        0x7FEF_FFFF_FFFF_FFFF,
    )
)
_SIGNED_32 = (FieldDescriptor.TYPE_INT32, FieldDescriptor.TYPE_SINT32, FieldDescriptor.TYPE_SFIXED32)
_UNSIGNED_32 = (FieldDescriptor.TYPE_UINT32, FieldDescriptor.TYPE_FIXED32)
_UNSIGNED_64 = (FieldDescriptor.TYPE_UINT64, FieldDescriptor.TYPE_FIXED64)


class Mutator:
    """Changes messages; every choice comes from `random`."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._other = b"\x0a\x01a"  # the last message, to splice from

    def mutated(self, message: Message) -> bytes:
        """The message with one to three changes, of fields or of bytes."""
        changed = type(message)()
        changed.CopyFrom(message)
        changes = self._random.choice((1, 1, 1, 2, 3))
        of_bytes = sum(self._random.random() < 0.45 for _ in range(changes))
        for _ in range(changes - of_bytes):
            self._change_field(changed)
        data = changed.SerializeToString()
        for _ in range(of_bytes):
            data = self._random.choice(_BYTE_CHANGES)(self._random, data, self._other)
        self._other = data[:4_096]
        return data

    def _change_field(self, message: Message) -> None:
        places = list(_places(message))
        if not places:
            return
        holder, field = self._random.choice(places)
        if field.is_repeated:
            self._change_list(getattr(holder, field.name), field)
        elif self._random.random() < 0.2:
            holder.ClearField(field.name)
        elif field.message_type is not None:
            getattr(holder, field.name).SetInParent()
        else:
            setattr(holder, field.name, self.extreme(field))

    def _change_list(self, items: Any, field: FieldDescriptor) -> None:
        match self._random.randrange(5):
            case 0:
                del items[:]
            case 1 if len(items):
                del items[self._random.randrange(len(items))]
            case 2 if len(items):
                # Twice, or far too often.
                times = self._random.choice((1, 1, 1, 2, 1_500))
                items.extend([items[self._random.randrange(len(items))]] * times)
            case 3 if len(items) > 1:
                kept = list(items)
                self._random.shuffle(kept)
                del items[:]
                items.extend(kept)
            case _ if field.message_type is not None:
                items.add()
            case _ if len(items) and self._random.random() < 0.7:
                items[self._random.randrange(len(items))] = self.extreme(field)
            case _:
                items.append(self.extreme(field))

    def extreme(self, field: FieldDescriptor) -> Any:
        """A value that the field's type allows, and often nothing else does."""
        random = self._random
        match field.cpp_type:
            case FieldDescriptor.CPPTYPE_STRING if field.type == FieldDescriptor.TYPE_BYTES:
                return random.randbytes(random.choice((0, 1, 15, 16, 17, 1_000)))
            case FieldDescriptor.CPPTYPE_STRING:
                return random.choice(TEXTS)
            case FieldDescriptor.CPPTYPE_DOUBLE | FieldDescriptor.CPPTYPE_FLOAT:
                return random.choice(DOUBLES)
            case FieldDescriptor.CPPTYPE_BOOL:
                return random.random() < 0.5
        low, high = _bounds(field)
        return random.choice((0, 1, 2, 7, low, high, high - 1, high // 2 + 1, random.randint(low, high)))


def _places(message: Message) -> Iterator[tuple[Message, Any]]:
    """Every field of the message and of the messages in it."""
    for field in message.DESCRIPTOR.fields:
        yield message, field
        if field.message_type is None:
            continue
        if field.is_repeated:
            for item in list(getattr(message, field.name))[:3]:
                yield from _places(item)
        elif message.HasField(field.name):
            yield from _places(getattr(message, field.name))


def _bounds(field: FieldDescriptor) -> tuple[int, int]:
    if field.type in _UNSIGNED_32:
        return 0, 2**32 - 1
    if field.type in _UNSIGNED_64:
        return 0, 2**64 - 1
    if field.type in _SIGNED_32 or field.enum_type is not None:
        return -(2**31), 2**31 - 1
    return -(2**63), 2**63 - 1


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*encoded, number])


# ---- of bytes: (random, the message, another message) ----


def _flip(random: Random, data: bytes, other: bytes) -> bytes:
    changed = bytearray(data or b"\0")
    for _ in range(random.choice((1, 1, 2, 8))):
        changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
    return bytes(changed)


def _truncate(random: Random, data: bytes, other: bytes) -> bytes:
    return data[: random.randrange(len(data) + 1)]


def _cut_out(random: Random, data: bytes, other: bytes) -> bytes:
    start = random.randrange(len(data) + 1)
    return data[:start] + data[start + random.randrange(1, 9) :]


def _insert(random: Random, data: bytes, other: bytes) -> bytes:
    at = random.randrange(len(data) + 1)
    return data[:at] + random.randbytes(random.randrange(1, 9)) + data[at:]


def _splice(random: Random, data: bytes, other: bytes) -> bytes:
    return data[: random.randrange(len(data) + 1)] + other[random.randrange(len(other) + 1) :]


def _twice(random: Random, data: bytes, other: bytes) -> bytes:
    """Every field once more: the last counts, lists grow."""
    return data + data


def _join(random: Random, data: bytes, other: bytes) -> bytes:
    return data + other


def _bad_text(random: Random, data: bytes, other: bytes) -> bytes:
    """Bytes that are no UTF-8, where letters were."""
    letters = [at for at, byte in enumerate(data) if 0x61 <= byte <= 0x7A]
    if not letters:
        return data + b"\x0a\x01\xff"
    at = random.choice(letters)
    return data[:at] + random.choice((b"\xff", b"\xc0", b"\xed", b"\x80")) + data[at + 1 :]


def _other_wire_type(random: Random, data: bytes, other: bytes) -> bytes:
    if not data:
        return b"\x0f"
    at = random.choice((0, 0, random.randrange(len(data))))
    return data[:at] + bytes([data[at] & 0xF8 | random.randrange(8)]) + data[at + 1 :]


def _deep(random: Random, data: bytes, other: bytes) -> bytes:
    """Messages in messages, deeper than anybody reads."""
    field = random.randrange(1, 16)
    if random.random() < 0.5:
        return data + bytes([field << 3 | 3]) * random.choice((20, 200, 20_000))
    nested = b""
    for _ in range(random.choice((20, 150, 2_000))):
        nested = bytes([field << 3 | 2]) + _varint(len(nested)) + nested
    return data + nested


def _long_number(random: Random, data: bytes, other: bytes) -> bytes:
    tag = bytes([random.randrange(1, 16) << 3 | random.choice((0, 2))])
    return data + tag + b"\xff" * random.choice((4, 9, 10, 11)) + b"\x01"


def _unknown_field(random: Random, data: bytes, other: bytes) -> bytes:
    filling = random.randbytes(random.choice((0, 3, 300)))
    return _varint(random.randrange(16, 2**28) << 3 | 2) + _varint(len(filling)) + filling + data


_BYTE_CHANGES: tuple[Callable[[Random, bytes, bytes], bytes], ...] = (
    _flip,
    _flip,
    _truncate,
    _cut_out,
    _insert,
    _splice,
    _twice,
    _join,
    _bad_text,
    _other_wire_type,
    _deep,
    _long_number,
    _unknown_field,
)
