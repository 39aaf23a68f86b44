"""What operators do to artifacts on a stack: rebuild, collect, look into the quarantine, reset."""

from __future__ import annotations

import json

from rekam.testing import LocalStack
from tests.support import stack as support
from tests.support.artifact_door import door_of, is_whole


def test_a_rebuild_changes_nothing_for_readers(rekam_clean: LocalStack) -> None:
    uri = ("--uri", rekam_clean.tracking_uri)
    with door_of(rekam_clean) as door:
        for number in range(20):
            door.upload(f"1/{number}", b"x" * (number % 3))
        door.delete("1/3")
        before = door.listed()
        assert len(before) == 19
        done = support.rekam("log", "rebuild", "artifacts", *uri)
        assert done.returncode == 0, done.stderr
        assert "artifacts is rebuilt: readers have generation 2" in done.stdout
        assert door.listed() == before
        assert is_whole(before[0], door.download(before[0].path))
    kept = support.rekam("log", "quarantine", "list", "--service", "artifacts", "--json", *uri)
    assert json.loads(kept.stdout) == []


def test_what_would_be_collected_is_said_and_left_alone(rekam_clean: LocalStack) -> None:
    """Within the grace period that is nothing."""
    with door_of(rekam_clean) as door:
        door.upload("a", b"1")
        door.delete("a")
        for arguments in (("--dry-run",), ()):
            done = support.rekam(
                "artifacts", "collect", "--json", "--uri", rekam_clean.tracking_uri, *arguments
            )
            assert done.returncode == 0, done.stderr
            assert json.loads(done.stdout)["blobs"] == 0


def test_a_reset_leaves_no_file(rekam_clean: LocalStack) -> None:
    with door_of(rekam_clean) as door:
        door.upload("a/b", b"1")
        rekam_clean.reset()
        assert door.listed() == []
        # Its bytes are gone too, and not taken for stored.
        file = door.upload("a/b", b"1")
        assert is_whole(file, door.download("a/b"))
