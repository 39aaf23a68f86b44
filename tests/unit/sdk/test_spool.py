"""The spool: what was appended comes back, once and whole, whatever happened to the files."""

from __future__ import annotations

import logging
import os
import threading
import time
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rekam.errors import SpoolError
from rekam.spool import directory as spool_directory
from rekam.spool.cursor import Cursor
from rekam.spool.records import RECORD_HEADER, SEGMENT_HEADER, Kind, Record, segment_header
from rekam.spool.spool import Definition, Spool
from rekam_proto.ingest.v1 import ingest_pb2

KEY_SET = bytes(range(16))
RUN_BODY = ingest_pb2.IngestRequest(
    open_run=ingest_pb2.OpenRun(handle=7, run_id="ab" * 16, writer="w7", next_sequence=1)
).SerializeToString()
DEFINITIONS = (
    Definition(Kind.RUN, 7, bytes(16), RUN_BODY),
    Definition(Kind.KEY_SET, 0, KEY_SET, b"keys"),
)


def frame(sequence: int, size: int = 100) -> Record:
    return Record(Kind.FRAME, sequence.to_bytes(8, "big") + bytes(size), 7, sequence, KEY_SET)


def new_spool(root: Path, *, limit: int = 1 << 30, segment_bytes: int = 4096, fsync: str = "never") -> Spool:
    return Spool.create(root, "localhost:1", limit=limit, segment_bytes=segment_bytes, fsync=fsync)


def read(spool: Spool, after: int = 0) -> list[int]:
    """Sequences of the frames after a position."""
    cursor = Cursor(spool, after)
    found: list[int] = []
    while (stored := cursor.next()) is not None:
        assert cursor.runs[7].body == RUN_BODY
        assert cursor.key_sets[KEY_SET].body == b"keys"
        found.append(stored.record.sequence)
    cursor.close()
    return found


def left_behind(spool: Spool) -> Spool:
    """The same directory, as found after the process was killed."""
    spool._lock.release()
    ((directory, lock),) = spool_directory.left_behind([spool.directory.parent], "localhost:1")
    return Spool.adopt(directory, lock)


def segment_files(spool: Spool) -> list[Path]:
    return sorted(spool.directory.glob("*.spool"))


@pytest.mark.parametrize("fsync", ["always", "interval", "never"])
def test_records_come_back_in_order(tmp_path: Path, fsync: str) -> None:
    spool = new_spool(tmp_path, fsync=fsync)
    for sequence in range(1, 201):
        assert spool.append(frame(sequence), DEFINITIONS)
    assert len(segment_files(spool)) > 3
    assert read(spool) == list(range(1, 201))


def test_a_cursor_goes_on_when_more_is_appended(tmp_path: Path) -> None:
    spool = new_spool(tmp_path)
    cursor = Cursor(spool, 0)
    assert cursor.next() is None
    for sequence in range(1, 100):
        spool.append(frame(sequence), DEFINITIONS)
        stored = cursor.next()
        assert stored is not None
        assert stored.record.sequence == sequence
        assert cursor.next() is None


def test_every_segment_stands_alone(tmp_path: Path) -> None:
    spool = new_spool(tmp_path)
    for sequence in range(1, 201):
        spool.append(frame(sequence), DEFINITIONS)
    for path in segment_files(spool)[:-1]:
        path.unlink()
    left = read(left_behind(spool))
    assert left
    assert left == list(range(left[0], 201))


def test_acknowledged_segments_are_deleted(tmp_path: Path) -> None:
    spool = new_spool(tmp_path)
    positions = {}
    for sequence in range(1, 201):
        spool.append(frame(sequence), DEFINITIONS)
        positions[sequence] = spool.last
    before = len(segment_files(spool))
    spool.acknowledge(positions[150])
    assert 1 <= len(segment_files(spool)) < before
    assert read(spool, positions[150]) == list(range(151, 201))
    spool.acknowledge(positions[200])
    assert not spool.outstanding
    spool.close()
    assert not spool.directory.exists()


def test_what_is_not_acknowledged_survives_close(tmp_path: Path) -> None:
    spool = new_spool(tmp_path)
    spool.append(frame(1), DEFINITIONS)
    spool.close()
    assert read(left_behind(spool)) == [1]


def test_a_live_spool_is_nobody_elses(tmp_path: Path) -> None:
    spool = new_spool(tmp_path)
    spool.append(frame(1), DEFINITIONS)
    assert list(spool_directory.left_behind([tmp_path], "localhost:1")) == []
    spool.close()
    assert list(spool_directory.left_behind([tmp_path], "elsewhere:1")) == []
    ((_, lock),) = spool_directory.left_behind([tmp_path], "localhost:1")
    assert list(spool_directory.left_behind([tmp_path], "localhost:1")) == []
    lock.release()


def test_spools_are_made_while_others_look_for_those_left_behind(tmp_path: Path) -> None:
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            for _, lock in spool_directory.left_behind([tmp_path], "localhost:1"):
                lock.release()

    lookers = [threading.Thread(target=look) for _ in range(2)]
    for each in lookers:
        each.start()
    try:
        for _ in range(300):
            new_spool(tmp_path).close()
    finally:
        over.set()
        for each in lookers:
            each.join()
    assert list(tmp_path.iterdir()) == []


# Sizes of records vary, so that a damaged length does not end where another record does.
FRAMES = [frame(sequence, 60 + 17 * (sequence % 5)) for sequence in range(1, 11)]


def written(root: Path) -> tuple[Spool, list[int]]:
    """A spool of one segment with ten frames, and their positions."""
    spool = new_spool(root, segment_bytes=1 << 20)
    positions = []
    for each in FRAMES:
        spool.append(each, DEFINITIONS)
        positions.append(spool.last)
    return spool, positions


def whole(spool: Spool) -> list[int]:
    """Sequences of the frames that can be read, each of which is as it was."""
    cursor = Cursor(spool, 0)
    found = []
    while (stored := cursor.next()) is not None:
        assert stored.record == FRAMES[stored.record.sequence - 1]
        found.append(stored.record.sequence)
    cursor.close()
    return found


@given(cut=st.integers(min_value=0, max_value=1_400))
def test_what_is_before_a_cut_is_delivered(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    spool, positions = written(tmp_path_factory.mktemp("spool"))
    (path,) = segment_files(spool)
    size = path.stat().st_size - cut
    os.truncate(path, size)
    adopted = left_behind(spool)
    ends = [position + each.size for position, each in zip(positions, FRAMES, strict=True)]
    assert whole(adopted) == [sequence for sequence, end in enumerate(ends, 1) if end <= size]
    at_a_border = size in (SEGMENT_HEADER.size, *positions) or not cut
    assert bool(adopted.damages.total) == ((not at_a_border and size > 0) or 0 < size < SEGMENT_HEADER.size)


@given(data=st.data())
def test_a_flipped_bit_loses_the_record_it_is_in_and_no_other(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    spool, positions = written(tmp_path_factory.mktemp("spool"))
    (path,) = segment_files(spool)
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(content)
    adopted = left_behind(spool)
    hit = sum(position <= place for position in positions)  # the frame's sequence; 0: before the first
    if hit:
        expected = [sequence for sequence in range(1, 11) if sequence != hit]
    else:
        expected = list(range(1, 11)) if place < SEGMENT_HEADER.size else []
    assert whole(adopted) == expected
    assert adopted.damages.total
    told = "\n".join(map(str, adopted.damages.found()))
    assert path.name in told
    if 1 < hit < 10:
        assert f"sequence {hit} of run {'ab' * 16} (writer w7)" in told
    # A damaged segment is kept for people, and is not taken for a spool again.
    adopted.acknowledge(adopted.end)
    adopted.close()
    assert list(adopted.directory.glob("*.damaged"))
    assert spool_directory.spools_in([adopted.directory.parent]) == []


def test_many_damaged_places_in_large_records(tmp_path: Path) -> None:
    """Every whole record is found again, also behind a damaged length and across the scan's windows."""
    spool = new_spool(tmp_path, segment_bytes=1 << 30)
    positions = []
    for sequence in range(1, 31):
        spool.append(frame(sequence, 300_000 + sequence), DEFINITIONS)
        positions.append(spool.last)
    (path,) = segment_files(spool)
    content = bytearray(path.read_bytes())
    for sequence in range(2, 30, 3):
        content[positions[sequence - 1] + sequence % 4] ^= 0x10  # a byte of its length
    path.write_bytes(content)
    adopted = left_behind(spool)
    assert read(adopted) == [sequence for sequence in range(1, 31) if sequence % 3 != 2 or sequence > 29]


def test_damage_is_told_once_and_by_name(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    spool, positions = written(tmp_path)
    (path,) = segment_files(spool)
    content = bytearray(path.read_bytes())
    content[positions[4] + RECORD_HEADER.size + 30] ^= 1
    content[positions[6] + 8] = 77  # its kind
    path.write_bytes(content)
    with caplog.at_level(logging.ERROR, "rekam"):
        for _ in range(2):
            assert whole(spool) == [1, 2, 3, 4, 6, 8, 9, 10]
    assert [str(each) for each in spool.damages.found()] == [
        f"{path}, position {positions[4]}, {FRAMES[4].size} bytes: the checksum does not match: "
        f"sequence 5 of run {'ab' * 16} (writer w7)",
        f"{path}, position {positions[6]}, {FRAMES[6].size} bytes: there is no record of kind 77",
        f"{path}, position {positions[7]}: lost before it: sequence 7 of run {'ab' * 16} (writer w7)",
    ]
    assert len(caplog.records) == 3


def test_frames_whose_run_cannot_be_read_are_named(tmp_path: Path) -> None:
    spool, positions = written(tmp_path)
    (path,) = segment_files(spool)
    content = bytearray(path.read_bytes())
    content[SEGMENT_HEADER.size + 4] ^= 1
    path.write_bytes(content)
    adopted = left_behind(spool)
    assert whole(adopted) == []
    last = adopted.damages.found()[-1]
    assert (last.position, last.sequences) == (positions[9], (10, 10))
    assert "its run" in last.reason


def test_a_segment_that_is_gone_or_cut_between_two_records_is_noticed(tmp_path: Path) -> None:
    spool = new_spool(tmp_path)
    for sequence in range(1, 201):
        spool.append(frame(sequence), DEFINITIONS)
    files = segment_files(spool)
    files[1].unlink()
    os.truncate(files[3], files[3].stat().st_size - frame(1).size)
    adopted = left_behind(spool)
    found = read(adopted)
    lost = sorted(set(range(1, 201)) - set(found))
    assert found == sorted(found)
    told = [each for each in adopted.damages.found() if each.sequences]
    assert [n for each in told for n in range(each.sequences[0], each.sequences[1] + 1)] == lost  # type: ignore[index]
    assert sum(each.size for each in adopted.damages.found()) > 4096


def test_a_full_spool_waits_for_acknowledgements(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    limit = 40_000
    spool = new_spool(tmp_path, limit=limit)
    sequence = 1
    while spool.append(frame(sequence), DEFINITIONS, deadline=time.monotonic()):
        sequence += 1
    assert limit - 1_000 <= spool.bytes <= limit
    assert sum(path.stat().st_size for path in segment_files(spool)) <= limit
    assert "reached its bound" in caplog.text
    cursor = Cursor(spool, 0)
    first = [cursor.next() for _ in range(100)]
    assert first[-1] is not None
    spool.acknowledge(first[-1].position)
    assert spool.append(frame(sequence), DEFINITIONS, deadline=time.monotonic())
    assert read(spool, first[-1].position) == list(range(101, sequence + 1))


def test_a_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SpoolError, match="REKAM_SPOOL_DIR"):
        new_spool(tmp_path / "file")


def test_a_segment_of_another_version_is_not_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    spool = new_spool(tmp_path)
    spool.append(frame(1), DEFINITIONS)
    (path,) = segment_files(spool)
    content = bytearray(path.read_bytes())
    content[8] = 99
    content[20:24] = zlib.crc32(content[:20]).to_bytes(4, "little")
    path.write_bytes(content)
    assert read(left_behind(spool)) == []
    assert "another version" in caplog.text


def test_a_segment_of_the_first_version_is_read(tmp_path: Path) -> None:
    spool = new_spool(tmp_path)
    spool.append(frame(1), DEFINITIONS)
    (path,) = segment_files(spool)
    path.write_bytes(segment_header(0, version=1) + path.read_bytes()[SEGMENT_HEADER.size :])
    assert read(left_behind(spool)) == [1]


def test_a_text_needs_its_run_and_no_key_set(tmp_path: Path) -> None:
    spool = new_spool(tmp_path)
    spool.append(Record(Kind.TEXT, b"lines", 7, 1), DEFINITIONS[:1])
    cursor = Cursor(spool, 0)
    stored = cursor.next()
    assert stored is not None
    assert stored.record == Record(Kind.TEXT, b"lines", 7, 1)
    assert cursor.runs[7].body == RUN_BODY
    cursor.close()
