"""What git says of the code, asked of real repositories."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from rekam.capture.git import find_checkout, read_diff, without_credentials

MIB = 1024 * 1024


def git(directory: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=Ann", "-c", "user.email=ann@example.org", "-c", "commit.gpgsign=false"]
    return subprocess.run(
        ["git", *identity, *arguments], cwd=directory, check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "repository with spaces"
    (root / "train").mkdir(parents=True)
    (root / "train" / "main.py").write_text("print('hello')\n")
    git(root, "init", "--quiet", "--initial-branch=feature/x")
    git(root, "add", ".")
    git(root, "commit", "--quiet", "-m", "first")
    return root


def test_commit_branch_remote_and_program_are_found(repository: Path, tmp_path: Path) -> None:
    git(repository, "remote", "add", "fork", "git@example.org:ann/fork.git")
    git(repository, "remote", "add", "origin", "https://ann:secret@example.org/team/code.git")
    checkout = find_checkout(repository / "train" / "main.py", tmp_path)
    assert checkout is not None
    assert checkout.commit == git(repository, "rev-parse", "HEAD")
    assert checkout.branch == "feature/x"
    assert checkout.remote == "https://example.org/team/code.git"
    assert checkout.program == "train/main.py"
    assert checkout.root.resolve() == repository.resolve()


def test_a_program_elsewhere_is_looked_for_where_it_runs(repository: Path, tmp_path: Path) -> None:
    script = tmp_path / "tool.py"
    script.write_text("")
    checkout = find_checkout(script, repository / "train")
    assert checkout is not None
    assert checkout.program == "train"
    assert find_checkout(None, repository) is not None


def test_a_detached_head_has_no_branch(repository: Path) -> None:
    git(repository, "checkout", "--quiet", "--detach")
    checkout = find_checkout(None, repository)
    assert checkout is not None
    assert (checkout.branch, checkout.remote) == ("", "")


def test_where_there_is_no_commit_or_no_repository_nothing_is_found(tmp_path: Path) -> None:
    assert find_checkout(None, tmp_path) is None
    git(tmp_path, "init", "--quiet")
    assert find_checkout(None, tmp_path) is None
    assert find_checkout(None, tmp_path / "gone") is None


def test_without_git_nothing_is_found(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert find_checkout(None, repository) is None


def test_a_hooks_environment_does_not_lead_elsewhere(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "other"))
    assert find_checkout(None, repository) is not None


def test_the_diff_is_of_tracked_files_against_head(repository: Path) -> None:
    assert read_diff(repository, MIB) == ([], False)
    (repository / "new.txt").write_text("not tracked\n")
    assert read_diff(repository, MIB) == ([], False)
    (repository / "train" / "main.py").write_text("print('bye')\n")
    git(repository, "add", "train/main.py")
    diff = read_diff(repository, MIB)
    assert diff is not None
    lines, more = diff
    assert not more
    assert lines[0] == "diff --git a/train/main.py b/train/main.py"
    assert lines[-2:] == ["-print('hello')", "+print('bye')"]


def test_a_long_diff_is_cut_at_a_line(repository: Path) -> None:
    (repository / "train" / "main.py").write_text("".join(f"line {i}\n" for i in range(100_000)))
    diff = read_diff(repository, 10_000)
    assert diff is not None
    lines, more = diff
    assert more
    assert 9_900 < len("\n".join(lines)) <= 10_000
    assert lines[-1].startswith("+line ")


def test_programs_that_a_repository_names_do_not_run(repository: Path, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    hook = tmp_path / "hook"
    hook.write_text(f"#!/bin/sh\ntouch '{ran}'\n")
    hook.chmod(0o755)
    for name in ("core.fsmonitor", "diff.external", "core.pager", "diff.shown.textconv"):
        git(repository, "config", name, str(hook))
    (repository / ".git" / "info" / "attributes").write_text("*.py diff=shown\n")
    (repository / "train" / "main.py").write_text("changed\n")
    checkout = find_checkout(None, repository)
    assert checkout is not None
    assert read_diff(checkout.root, MIB) is not None
    assert not ran.exists()


def test_no_lock_is_taken(repository: Path) -> None:
    index = repository / ".git" / "index"
    os.utime(repository / "train" / "main.py", (1, 1))  # git would want to refresh its index
    before = index.read_bytes()
    read_diff(repository, MIB)
    assert index.read_bytes() == before


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://example.org/a/b.git", "https://example.org/a/b.git"),
        ("https://token@example.org/a/b.git", "https://example.org/a/b.git"),
        ("https://ann:secret@example.org:8443/a/b.git", "https://example.org:8443/a/b.git"),
        ("https://example.org/a/b.git?private_token=secret#x", "https://example.org/a/b.git"),
        ("ssh://git:secret@example.org:22/a/b", "ssh://git@example.org:22/a/b"),
        ("https://ann:se:cr@et@[::1]:1/a", "https://[::1]:1/a"),
        ("git@example.org:a/b.git", "git@example.org:a/b.git"),
        ("/srv/git/a.git", "/srv/git/a.git"),
        ("https://ann:secret@example.org:port/a", "https://example.org:port/a"),
        ("https://ann:secret@[bad/a", ""),
        ("", ""),
    ],
)  # fmt: skip
def test_credentials_are_left_out(url: str, expected: str) -> None:
    assert without_credentials(url) == expected
