"""Files that are to become artifacts: found, digested, watched while they are read."""

from __future__ import annotations

import hashlib
import os
import socket
from pathlib import Path

import pytest

from rekam.errors import ArtifactError, Invalid
from rekam.transfer import local


def found(directory: Path, to: str | None = None) -> list[tuple[str, int]]:
    return [(file.path, file.size) for file in local.find_all(directory, to)]


def test_all_that_is_below_a_directory_in_order(tmp_path: Path) -> None:
    for name, text in {"b.txt": "22", "a/z": "1", "a/é 日本.txt": "", ".hidden": "333"}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "empty").mkdir()
    assert found(tmp_path, "to") == [
        ("to/.hidden", 3),
        ("to/a/z", 1),
        ("to/a/é 日本.txt", 0),
        ("to/b.txt", 2),
    ]


def test_links_are_followed(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "x").write_text("x")
    directory = tmp_path / "logged"
    directory.mkdir()
    (directory / "file").symlink_to(elsewhere / "x")
    (directory / "folder").symlink_to(elsewhere)
    assert found(directory) == [("file", 1), ("folder/x", 1)]


def test_links_that_lead_in_a_circle(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    with pytest.raises(Invalid, match="up"):
        found(tmp_path)


def test_links_that_lead_nowhere(tmp_path: Path) -> None:
    (tmp_path / "gone").symlink_to(tmp_path / "nothing")
    with pytest.raises(FileNotFoundError, match="gone"):
        found(tmp_path)


def test_what_is_no_file(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "s"))
        with pytest.raises(Invalid, match="socket"):
            found(tmp_path)
    with pytest.raises(FileNotFoundError, match="missing"):
        local.find(tmp_path / "missing")
    with pytest.raises(Invalid):
        local.find(tmp_path)


def test_names_that_no_artifact_has(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9")).write_text("")
    with pytest.raises(Invalid, match="Unicode"):
        found(tmp_path)
    with pytest.raises(Invalid):
        local.find(tmp_path / "a#b")


def test_a_directory_is_named_however_it_is_written(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    assert local.name_of(f"{tmp_path}/a/b/..") == "a"
    assert local.name_of(f"{tmp_path}/a/") == "a"


def test_the_digest_is_of_the_bytes(tmp_path: Path) -> None:
    data = os.urandom(local.CHUNK_BYTES * 2 + 17)
    (tmp_path / "x").write_bytes(data)
    file = local.find(tmp_path / "x", "to")
    assert (file.path, file.digest()) == ("to/x", hashlib.sha256(data).hexdigest())
    with file.open() as stream:
        assert b"".join(file.chunks(stream, 5, local.CHUNK_BYTES + 1)) == data[5 : local.CHUNK_BYTES + 6]


def test_a_file_that_changed_since_it_was_found(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("before")
    file = local.find(path)
    path.write_text("after!")
    with pytest.raises(ArtifactError, match="x changed"):
        file.digest()


@pytest.mark.parametrize("mode", ["ab", "wb"])
def test_a_file_that_changes_while_it_is_read(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"0" * (local.CHUNK_BYTES + 1))
    file = local.find(path)
    with pytest.raises(ArtifactError, match="x changed"), file.open() as stream:
        for number, _ in enumerate(file.chunks(stream)):
            if number == 0:
                with path.open(mode) as other:
                    other.write(b"1")
