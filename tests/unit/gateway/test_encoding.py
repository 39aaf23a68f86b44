"""Numbers that the gateway reads as bytes: what the contract allows and a view would misread is refused."""

from __future__ import annotations

import pytest

from rekam_gateway.ingest.rules import check_encoding
from rekam_proto.ingest.v1 import ingest_pb2, views_pb2
from rekam_runtime.errors import Invalid

FRAME = ingest_pb2.Frame(run=1, sequence=1, steps=[0, 1], times_us=[1, 2], values=[1.0, 2.0])
TEXT = ingest_pb2.Text(run=1, sequence=1, stream="stdout", times_us=[1], lines=["a"])


def checked(data: bytes) -> None:
    view = views_pb2.IngestRequestView.FromString(data)
    check_encoding(view, view.text if view.HasField("text") else view.frame, len(data))


def request(**body: object) -> bytes:
    return ingest_pb2.IngestRequest(id=300, **body).SerializeToString()  # type: ignore[arg-type]


def length_delimited(number: int, data: bytes) -> bytes:
    assert len(data) < 128
    return bytes([number << 3 | 2, len(data)]) + data


def test_what_libraries_write_is_taken() -> None:
    checked(request(frame=FRAME))
    checked(request(text=TEXT))


@pytest.mark.parametrize(
    "more",
    [
        ingest_pb2.Frame(steps=[5], times_us=[5], values=[5.0]).SerializeToString(),
        b"\x21" + bytes(8),  # a step that is not packed
    ],
)
def test_an_array_in_parts_is_refused(more: bytes) -> None:
    data = length_delimited(4, FRAME.SerializeToString() + more)
    read = ingest_pb2.IngestRequest.FromString(data).frame
    assert len(read.steps) == 3  # so does the contract have it
    with pytest.raises(Invalid) as refused:
        checked(data)
    assert refused.value.field == "frame"


def test_a_frame_that_stands_twice_in_its_request_is_refused() -> None:
    frame = length_delimited(4, FRAME.SerializeToString())
    with pytest.raises(Invalid):
        checked(frame + frame)


def test_times_of_a_text_in_parts_are_refused() -> None:
    more = ingest_pb2.Text(times_us=[2], lines=["b"]).SerializeToString()
    with pytest.raises(Invalid) as refused:
        checked(length_delimited(10, TEXT.SerializeToString() + more))
    assert refused.value.field == "text"
