"""Lines of text as records: in order, within the limits, numbered with the frames."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rekam.recording.buffer import Buffer
from rekam.recording.texts import numbered_text, text_bodies
from rekam.recording.writer import RunWriter
from rekam.spool.cursor import Cursor
from rekam.spool.spool import Spool
from rekam_proto.ingest.v1 import ingest_pb2

MIB = 1024 * 1024


def texts(lines: list[str]) -> list[ingest_pb2.Text]:
    return [ingest_pb2.Text.FromString(body) for body in text_bodies("stdout", range(len(lines)), lines)]


@given(st.lists(st.text()))
def test_lines_come_back(lines: list[str]) -> None:
    found = [line for text in texts(lines) for line in text.lines]
    assert found == lines


@pytest.mark.parametrize("line", ["x" * 100, "é" * 100_000, "", "\U0001f600" * 20_000])
def test_records_stay_within_the_limits(line: str) -> None:
    found = texts([line] * 100_000 if len(line) <= 100 else [line] * 30)
    assert len(found) > 1
    for text in found:
        assert text.ByteSize() <= 1_000_000
        assert 1 <= len(text.lines) <= 65_536
        assert len(text.lines) == len(text.times_us)
    assert len("".join(line for text in found for line in text.lines)) % max(1, len(line)) == 0


def test_what_is_no_unicode_is_spelled_out() -> None:
    assert list(texts(["a\udc80b"])[0].lines) == ["a\\udc80b"]


def test_a_text_is_numbered_and_named() -> None:
    (body,) = text_bodies("stderr", [5], ["line"])
    request = ingest_pb2.IngestRequest.FromString(numbered_text(3, 7, body))
    assert request.text == ingest_pb2.Text(run=3, sequence=7, stream="stderr", times_us=[5], lines=["line"])


def test_texts_and_frames_share_one_count(tmp_path: Path) -> None:
    spool = Spool.create(tmp_path, "localhost:1", limit=4 * MIB, fsync="never")
    buffer = Buffer(spool, limit=MIB, flush_interval=60, raise_when_full=False)
    writer = RunWriter("0" * 32, None, lambda: (buffer, 3))
    for step in range(3):
        writer.log_metric("loss", 1.0, step)
        assert writer.log_lines("stdout", [step], [f"line {step}"])
        assert buffer.drain()
    cursor = Cursor(spool, 0)
    found = []
    while (stored := cursor.next()) is not None:
        request = ingest_pb2.IngestRequest.FromString(stored.record.body)
        body = request.text if request.HasField("text") else request.frame
        assert (body.run, body.sequence) == (3, stored.record.sequence)
        found.append((request.WhichOneof("body"), body.sequence))
    assert sorted(sequence for _, sequence in found) == [1, 2, 3, 4, 5, 6]
    assert {kind for kind, _ in found} == {"frame", "text"}
    cursor.close()
    buffer.close()
    spool.abandon()


def test_text_leaves_room_for_points(tmp_path: Path) -> None:
    spool = Spool.create(tmp_path, "localhost:1", limit=4 * MIB, fsync="never")
    buffer = Buffer(spool, limit=MIB, flush_interval=60, raise_when_full=True)
    writer = RunWriter("0" * 32, None, lambda: (buffer, 0))
    taken = 0
    # A spool that nobody empties, and then a buffer that nobody can empty.
    while writer.log_lines("stdout", [1], ["x" * 50_000]):
        taken += 1
        assert taken < 200
        buffer.drain(deadline=0.0)
    assert taken > 4 * MIB // 50_000
    assert buffer.held < MIB * 3 // 4
    writer.log_metric("loss", 1.0, 0)
    buffer.close()
    spool.abandon()
