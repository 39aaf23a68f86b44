"""Paths and URIs of artifacts, checked before anything is sent."""

from __future__ import annotations

import pytest

from rekam.errors import Invalid, Unsupported
from rekam.transfer import paths
from rekam.transfer.paths import Owned


@pytest.mark.parametrize("path", ["a", "a/b.txt", "日本/é +~ %25.txt", "a b/c", "...", "a/.hidden", "a/"])
def test_clean_paths_stay_as_they_are(path: str) -> None:
    assert paths.clean(path) == path.removesuffix("/")


@pytest.mark.parametrize(
    "path", ["", "/", "/a", "a//b", "a/./b", "../a", "a/..", ".", "a\\b", "a#b", "a\0b", "caf\udce9"]
)
def test_others_are_refused_by_name(path: str) -> None:
    with pytest.raises(Invalid) as caught:
        paths.clean(path)
    assert caught.value.field == "artifact_path"


@pytest.mark.parametrize(
    ("file", "split"),
    [("a.txt", ("", "a.txt")), ("a//b/./c.txt", ("a/b", "c.txt")), ("a/../b.txt", ("", "b.txt"))],
)
def test_files_are_named_in_full(file: str, split: tuple[str, str]) -> None:
    assert paths.split_file(file) == split


def test_files_do_not_leave_their_run() -> None:
    with pytest.raises(Invalid):
        paths.split_file("a/../../b.txt")


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("mlflow-artifacts:/", ""),
        ("mlflow-artifacts:/1/ab/artifacts", "1/ab/artifacts"),
        ("mlflow-artifacts://host:5000/1/ab/a?b", "1/ab/a?b"),
        ("mlflow-artifacts:///1/ab/", "1/ab"),
    ],
)
def test_the_store_is_named_by_uri(uri: str, path: str) -> None:
    assert paths.of_store(uri) == path


@pytest.mark.parametrize("uri", ["s3://bucket/a", "file:///tmp/a", "/tmp/a", "a"])
def test_what_is_elsewhere_is_not_served(uri: str) -> None:
    with pytest.raises(Unsupported):
        paths.of_store(uri)


@pytest.mark.parametrize(
    ("uri", "owned"),
    [
        ("runs:/ab/model/x.pkl", Owned("runs", "ab", "model/x.pkl")),
        ("runs:/ab", Owned("runs", "ab", "")),
        ("runs:///ab/", Owned("runs", "ab", "")),
        ("models:/m-1/x", Owned("models", "m-1", "x")),
        ("mlflow-artifacts:/a", None),
    ],
)
def test_runs_and_models_own_artifacts(uri: str, owned: Owned | None) -> None:
    assert paths.owned(uri) == owned


@pytest.mark.parametrize("uri", ["runs:/", "runs:/ab/../c"])
def test_uris_of_runs_have_rules(uri: str) -> None:
    with pytest.raises(Invalid):
        paths.owned(uri)
