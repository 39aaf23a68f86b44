"""Files that wait in a spool: copied, bounded, in order."""

from __future__ import annotations

from pathlib import Path

import pytest

from rekam.errors import ArtifactError, SpoolError
from rekam.spool import directory as spool_directory
from rekam.spool.kept import Kept
from rekam.transfer import local


def test_files_wait_in_their_order_and_take_nothing_when_done(tmp_path: Path) -> None:
    kept, source = Kept(tmp_path), tmp_path / "x"
    for text in ("first", "second"):
        source.write_text(text)
        kept.add("run", [local.find(source, "to")], room=100)
    source.write_text("other")
    assert kept.bytes == 11
    first, second = kept.waiting()
    assert [kept.copy_of(each).source.read_text() for each in (first, second)] == ["first", "second"]
    assert (first.run_id, first.path, kept.copy_of(first).digest()) == ("run", "to/x", first.digest)
    kept.done(first)
    kept.refuse(second)
    assert (kept.waiting(), kept.refused()) == ([], 1)
    kept.done(second)
    assert (kept.bytes, Kept(tmp_path / "nothing").waiting()) == (0, [])


def test_there_is_a_bound(tmp_path: Path) -> None:
    kept, source = Kept(tmp_path), tmp_path / "x"
    source.write_text("12345")
    file = local.find(source)
    kept.add("run", [file], room=5)
    with pytest.raises(SpoolError, match="REKAM_SPOOL_BYTES"):
        kept.add("run", [file, file], room=9)
    assert len(kept.waiting()) == 2


def test_a_file_that_changes_is_not_kept(tmp_path: Path) -> None:
    kept, source = Kept(tmp_path), tmp_path / "x"
    source.write_text("12345")
    file = local.find(source)
    source.write_text("123456")
    with pytest.raises(ArtifactError):
        kept.add("run", [file], room=100)
    assert (kept.waiting(), kept.bytes) == ([], 0)


def test_a_spool_with_files_is_not_removed(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("")
    directory, _, lock = spool_directory.create(tmp_path / "spools", "127.0.0.1:1")
    kept = Kept(directory)
    kept.add("run", [local.find(tmp_path / "x")], room=0)
    spool_directory.remove(directory)
    assert spool_directory.spools_in([tmp_path / "spools"]) == [directory]
    kept.done(kept.waiting()[0])
    spool_directory.remove(directory)
    assert not directory.exists()
    lock.release()
