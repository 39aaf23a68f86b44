"""The spool: what was appended comes back, once and whole, whatever happened to the files."""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rekam.errors import SpoolError
from rekam.spool import directory as spool_directory
from rekam.spool.cursor import Cursor
from rekam.spool.records import RECORD_HEADER, SEGMENT_HEADER, Kind, Record
from rekam.spool.spool import Definition, Spool

KEY_SET = bytes(range(16))
DEFINITIONS = (
    Definition(Kind.RUN, 7, bytes(16), b"run seven"),
    Definition(Kind.KEY_SET, 0, KEY_SET, b"keys"),
)


def frame(sequence: int, size: int = 100) -> Record:
    return Record(Kind.FRAME, sequence.to_bytes(8, "big") + bytes(size), 7, sequence, KEY_SET)


def new_spool(root: Path, *, limit: int = 1 << 30, segment_bytes: int = 4096, fsync: str = "never") -> Spool:
    return Spool.create(root, "localhost:1", limit=limit, segment_bytes=segment_bytes, fsync=fsync)


def read(spool: Spool, after: int = 0) -> list[int]:
    """Sequences of the frames after a position."""
    cursor = Cursor(spool, after)
    found = []
    while (stored := cursor.next()) is not None:
        assert cursor.runs[7] == b"run seven"
        assert cursor.key_sets[KEY_SET] == b"keys"
        found.append(stored.record.sequence)
    cursor.close()
    return found


def left_behind(spool: Spool) -> Spool:
    """The same directory, as found after the process was killed."""
    spool._lock.release()
    ((directory, lock),) = spool_directory.left_behind(spool.directory.parent, "localhost:1")
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
    assert list(spool_directory.left_behind(tmp_path, "localhost:1")) == []
    spool.close()
    assert list(spool_directory.left_behind(tmp_path, "elsewhere:1")) == []
    ((_, lock),) = spool_directory.left_behind(tmp_path, "localhost:1")
    assert list(spool_directory.left_behind(tmp_path, "localhost:1")) == []
    lock.release()


@given(cut=st.integers(min_value=0, max_value=3 * (RECORD_HEADER.size + 108)))
def test_a_torn_tail_is_cut(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    spool = new_spool(tmp_path_factory.mktemp("spool"), segment_bytes=1 << 20)
    for sequence in range(1, 11):
        spool.append(frame(sequence), DEFINITIONS)
    (path,) = segment_files(spool)
    size = path.stat().st_size
    os.truncate(path, size - cut)
    whole = 10 - -(-cut // (RECORD_HEADER.size + 108))
    assert read(left_behind(spool)) == list(range(1, whole + 1))


@given(data=st.data())
def test_a_flipped_bit_loses_records_but_never_changes_one(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    spool = new_spool(tmp_path_factory.mktemp("spool"), segment_bytes=1 << 20)
    for sequence in range(1, 11):
        spool.append(frame(sequence), DEFINITIONS)
    (path,) = segment_files(spool)
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(content)
    adopted = left_behind(spool)
    cursor = Cursor(adopted, 0)
    found = []
    while (stored := cursor.next()) is not None:
        assert stored.record == frame(stored.record.sequence)
        found.append(stored.record.sequence)
    cursor.close()
    assert found == sorted(set(found))
    assert found != list(range(1, 11))
    # A damaged segment is kept for people.
    adopted.acknowledge(adopted.end)
    adopted.close()
    assert list(adopted.directory.glob("*.damaged"))


def test_damage_in_a_body_loses_that_record_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    spool = new_spool(tmp_path, segment_bytes=1 << 20)
    positions = []
    for sequence in range(1, 11):
        spool.append(frame(sequence), DEFINITIONS)
        positions.append(spool.last)
    (path,) = segment_files(spool)
    content = bytearray(path.read_bytes())
    content[positions[4] + RECORD_HEADER.size + 50] ^= 1
    path.write_bytes(content)
    with caplog.at_level(logging.ERROR, "rekam"):
        assert read(spool) == [1, 2, 3, 4, 6, 7, 8, 9, 10]
    assert "lost a record" in caplog.text


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
    path.write_bytes(content)
    assert SEGMENT_HEADER.size < len(content)
    assert read(left_behind(spool)) == []
    assert "another version" in caplog.text
