"""What a record of the ingest stream must be, checked without decoding its numbers.

Pure: takes messages and what the stream knows, raises Refused with field and rule.
The limits are those documented in ingest.proto.
"""

from __future__ import annotations

from collections.abc import Sequence

from google.protobuf.unknown_fields import UnknownFieldSet

from rekam_proto.ingest.v1 import ingest_pb2, views_pb2
from rekam_runtime import names
from rekam_runtime.errors import Invalid

MAX_FRAME_BYTES = 1_000_000
MAX_TEXT_BYTES = 1_000_000
MAX_KEYS = 65_536
MAX_LINES = 65_536
MAX_INTERVAL_MS = 86_400_000
MAX_HANDLE = 65_535
WORD = 8  # bytes of a step, a time or a value
# Numbers of the fields that a view reads as bytes.
_RAW = {
    view: frozenset(field.number for field in view.DESCRIPTOR.fields if field.type == field.TYPE_BYTES)
    for view in (views_pb2.FrameView, views_pb2.TextView)
}


def check_handle(handle: int) -> None:
    if handle > MAX_HANDLE:
        raise Invalid(f"a handle is at most {MAX_HANDLE}, got {handle}", field="open_run.handle")


def check_open_run(open_run: ingest_pb2.OpenRun) -> None:
    if fault := names.hex_id_fault(open_run.run_id):
        raise Invalid(fault, field="open_run.run_id")
    if fault := names.writer_fault(open_run.writer):
        raise Invalid(fault, field="open_run.writer")
    check_sequence(open_run.next_sequence, "open_run.next_sequence")


def check_sequence(sequence: int, field: str) -> None:
    if not 1 <= sequence <= names.MAX_SEQUENCE:
        raise Invalid(f"sequences count from 1 to {names.MAX_SEQUENCE}, got {sequence}", field=field)


def check_key_set(key_set: ingest_pb2.KeySet) -> None:
    keys = key_set.keys
    if not 1 <= len(keys) <= MAX_KEYS:
        raise Invalid(f"a key set has 1 to {MAX_KEYS} keys, got {len(keys)}", field="key_set.keys")
    if key_set.ByteSize() > MAX_FRAME_BYTES:
        raise Invalid(
            f"a key set has at most {MAX_FRAME_BYTES} bytes, got {key_set.ByteSize()}", field="key_set.keys"
        )
    for index, key in enumerate(keys):
        if fault := names.key_fault(key):
            raise Invalid(fault, field=f"key_set.keys[{index}]")
    if len(set(keys)) != len(keys):
        seen: set[str] = set()
        index = next(i for i, key in enumerate(keys) if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise Invalid(f"key {keys[index]!r} stands twice in the set", field=f"key_set.keys[{index}]")
    if key_set.hash != names.key_set_hash(keys):
        raise Invalid("the hash is not that of the keys", field="key_set.hash")


def check_encoding(
    request: views_pb2.IngestRequestView, body: views_pb2.FrameView | views_pb2.TextView, received: int
) -> None:
    """Arrays that a view reads as bytes stand in their message once, packed.

    Of an array in two parts a view keeps the second only, and is shorter than what was
    received; numbers that are not packed are fields unknown to it.

    received: bytes of the whole request.
    """
    unknown = UnknownFieldSet(body)
    unpacked = any(unknown[place].field_number in _RAW[type(body)] for place in range(len(unknown)))
    if request.ByteSize() == received and not unpacked:
        return
    name = request.WhichOneof("body") or ""
    raise Invalid(f"each field of a {name} stands in it once, and its numbers are packed", field=name)


def check_frame(steps: bytes, times_us: bytes, values: bytes, columns: int, size: int) -> int:
    """Check a frame's arrays against a key set with `columns` keys; returns its number of rows.

    size: bytes of the whole message.
    """
    rows, rest = divmod(len(steps), WORD)
    if rest:
        raise Invalid(f"{len(steps)} bytes are no whole number of steps", field="frame.steps")
    if not rows:
        raise Invalid("a frame has at least one row", field="frame.steps")
    if len(times_us) != rows * WORD:
        raise Invalid(f"{rows} steps need {rows} times, got {len(times_us) / WORD:g}", field="frame.times_us")
    if len(values) != rows * columns * WORD:
        raise Invalid(
            f"{rows} rows of {columns} keys need {rows * columns} values, got {len(values) / WORD:g}",
            field="frame.values",
        )
    if size > MAX_FRAME_BYTES:
        raise Invalid(
            f"a frame has at most {MAX_FRAME_BYTES} bytes, got {size}: send fewer rows", field="frame"
        )
    return rows


def check_text(stream: str, times_us: bytes, lines: Sequence[str], size: int) -> None:
    """Check a text; size: bytes of the whole message."""
    if fault := names.key_fault(stream):
        raise Invalid(fault, field="text.stream")
    if not 1 <= len(lines) <= MAX_LINES:
        raise Invalid(f"a text has 1 to {MAX_LINES} lines, got {len(lines)}", field="text.lines")
    if len(times_us) != len(lines) * WORD:
        raise Invalid(
            f"{len(lines)} lines need {len(lines)} times, got {len(times_us) / WORD:g}", field="text.times_us"
        )
    if size > MAX_TEXT_BYTES:
        raise Invalid(
            f"a text has at most {MAX_TEXT_BYTES} bytes, got {size}: send fewer lines", field="text"
        )


def is_interval(interval_ms: int) -> bool:
    """Whether heartbeats may come so far apart."""
    return 1 <= interval_ms <= MAX_INTERVAL_MS
