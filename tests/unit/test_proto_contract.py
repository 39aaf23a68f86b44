"""A view reads and writes the very bytes of the message it is a view of."""

from __future__ import annotations

import struct
from typing import Any, cast

import pytest
from google.protobuf import message_factory
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st

from rekam_proto.ingest.v1 import ingest_pb2, points_pb2, views_pb2
from rekam_proto.tracking.v1 import metric_pb2, text_pb2

PAIRS: list[tuple[type[Message], type[Message]]] = [
    (ingest_pb2.IngestRequest, views_pb2.IngestRequestView),
    (ingest_pb2.Frame, views_pb2.FrameView),
    (ingest_pb2.Text, views_pb2.TextView),
    (points_pb2.PointsAppended, views_pb2.PointsAppendedView),
    (points_pb2.PointRecord, views_pb2.PointRecordView),
    (points_pb2.StoredFrame, views_pb2.StoredFrameView),
    (points_pb2.StoredText, views_pb2.StoredTextView),
    (metric_pb2.Points, metric_pb2.PointsView),
    (metric_pb2.HistoryBlock, metric_pb2.HistoryBlockView),
    (metric_pb2.GetHistoryResponse, metric_pb2.GetHistoryResponseView),
    (text_pb2.TextBlock, text_pb2.TextBlockView),
    (text_pb2.GetTextResponse, text_pb2.GetTextResponseView),
]
NAMES = [message.DESCRIPTOR.name for message, _ in PAIRS]

SCALARS: dict[int, st.SearchStrategy[Any]] = {
    FieldDescriptor.CPPTYPE_BOOL: st.booleans(),
    FieldDescriptor.CPPTYPE_DOUBLE: st.floats(),
    FieldDescriptor.CPPTYPE_INT32: st.integers(-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: st.integers(-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT32: st.integers(0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: st.integers(0, 2**64 - 1),
}


def fields_of(kind: type[Message]) -> list[FieldDescriptor]:
    """The fields of a message, as the pure type that all implementations share."""
    return cast("list[FieldDescriptor]", list(kind.DESCRIPTOR.fields))


@st.composite
def filled(draw: st.DrawFn, kind: type[Message]) -> Message:
    """Any message of this kind: every field, and every choice of a oneof, may be set."""
    message = kind()
    for field in fields_of(kind):
        if not draw(st.booleans()):
            continue
        value = values_of(field)
        if field.is_repeated:
            getattr(message, field.name).extend(draw(st.lists(value, max_size=5)))
        elif field.cpp_type == FieldDescriptor.CPPTYPE_MESSAGE:
            getattr(message, field.name).CopyFrom(draw(value))
        else:
            setattr(message, field.name, draw(value))
    return message


def values_of(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    """Any single value of a field."""
    if field.cpp_type == FieldDescriptor.CPPTYPE_MESSAGE:
        assert field.message_type is not None
        return filled(message_factory.GetMessageClass(field.message_type))
    if field.cpp_type == FieldDescriptor.CPPTYPE_ENUM:
        assert field.enum_type is not None
        return st.sampled_from([value.number for value in field.enum_type.values])
    if field.type == FieldDescriptor.TYPE_BYTES:
        return st.binary(max_size=20)
    if field.type == FieldDescriptor.TYPE_STRING:
        return st.text(max_size=20)
    return SCALARS[field.cpp_type]


@pytest.mark.parametrize(("message", "view"), PAIRS, ids=NAMES)
def test_view_declares_the_same_fields(message: type[Message], view: type[Message]) -> None:
    assert shape(message) == shape(view)


def shape(message: type[Message]) -> list[tuple[object, ...]]:
    """Fields as they lie on the wire: packed 8-byte numbers and bytes look the same."""
    rows: list[tuple[object, ...]] = []
    for field in fields_of(message):
        kind: object = field.type
        packed = field.type in (FieldDescriptor.TYPE_DOUBLE, FieldDescriptor.TYPE_SFIXED64)
        if packed and field.is_repeated:
            kind, repeated = FieldDescriptor.TYPE_BYTES, False
        else:
            repeated = field.is_repeated
        if field.message_type is not None:
            kind = field.message_type.name.removesuffix("View")
        oneof = field.containing_oneof.name if field.containing_oneof else None
        rows.append((field.number, field.name, kind, repeated, oneof))
    return rows


@pytest.mark.parametrize(("message", "view"), PAIRS, ids=NAMES)
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_view_keeps_every_byte(message: type[Message], view: type[Message], data: st.DataObject) -> None:
    original = data.draw(filled(message))
    wire = original.SerializeToString(deterministic=True)
    seen = view.FromString(wire)
    assert seen.SerializeToString(deterministic=True) == wire
    assert message.FromString(seen.SerializeToString()).SerializeToString(deterministic=True) == wire


@given(rows=st.lists(st.tuples(st.integers(-(2**63), 2**63 - 1), st.floats()), max_size=20))
@settings(max_examples=50, deadline=None)
def test_packed_numbers_are_little_endian(rows: list[tuple[int, float]]) -> None:
    steps, values = [step for step, _ in rows], [value for _, value in rows]
    frame = ingest_pb2.Frame(run=1, sequence=1, steps=steps, values=values)
    view = views_pb2.FrameView.FromString(frame.SerializeToString())
    assert view.steps == struct.pack(f"<{len(rows)}q", *steps)
    assert view.values == struct.pack(f"<{len(rows)}d", *values)


@given(bits=st.lists(st.binary(min_size=8, max_size=8), max_size=20))
@settings(max_examples=50, deadline=None)
def test_every_bit_pattern_survives(bits: list[bytes]) -> None:
    values = b"".join(bits)
    wire = views_pb2.FrameView(values=values).SerializeToString()
    through_numbers = ingest_pb2.Frame.FromString(wire).SerializeToString()
    assert views_pb2.FrameView.FromString(through_numbers).values == values


def test_points_pass_from_frame_to_history_without_decoding() -> None:
    frame = views_pb2.FrameView(steps=b"\1" * 8, times_us=b"\2" * 8, values=b"\3" * 8)
    stored = views_pb2.StoredFrameView(steps=frame.steps, times_us=frame.times_us, values=frame.values)
    points = metric_pb2.PointsView(steps=stored.steps, times_us=stored.times_us, values=stored.values)
    block = metric_pb2.HistoryBlock.FromString(
        metric_pb2.HistoryBlockView(run_id="r", key="k", points=points).SerializeToString()
    )
    assert struct.pack("<d", block.points.values[0]) == b"\3" * 8
