"""Paths and URIs of artifacts, checked before anything is sent."""

from __future__ import annotations

import pytest

from rekam.errors import Invalid, Unsupported
from rekam.transfer import paths
from rekam.transfer.paths import Named, Owned, Registered


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


LOGGED = f"m-{'0a' * 16}"


@pytest.mark.parametrize(
    ("uri", "named"),
    [
        ("runs:/ab/model/x.pkl", Owned("runs", "ab", "model/x.pkl")),
        ("runs:/ab", Owned("runs", "ab", "")),
        ("runs:///ab/", Owned("runs", "ab", "")),
        (f"models:/{LOGGED}/x", Owned("models", LOGGED, "x")),
        ("models:/m-1/3", Registered("models:/m-1/3", "")),
        ("models:/Fraud/3/data/x.pkl", Registered("models:/Fraud/3", "data/x.pkl")),
        ("models:///Fraud/production/x", Registered("models:/Fraud/production", "x")),
        ("models:/Fraud/latest", Registered("models:/Fraud/latest", "")),
        ("models:/Fraud@champion", Registered("models:/Fraud@champion", "")),
        ("models:/a@b@champion/x/y", Registered("models:/a@b@champion", "x/y")),
        # As the registry reads it: the name may have the sign, too.
        ("models:/a@b/3/x", Registered("models:/a@b/3", "x")),
        ("mlflow-artifacts:/a", "a"),
    ],
)
def test_a_uri_names_what_has_the_files(uri: str, named: Named) -> None:
    assert paths.named(uri) == named


@pytest.mark.parametrize(
    "uri", ["runs:/", "runs:/ab/../c", "models:/", "models:/Fraud", "models:/Fraud/x", "models:/F@a/../b"]
)
def test_uris_have_rules(uri: str) -> None:
    with pytest.raises(Invalid):
        paths.named(uri)


def test_a_path_below_what_is_named() -> None:
    assert paths.below("a", "b/c") == "a/b/c"
    assert paths.below(Owned("runs", "ab", ""), "b") == Owned("runs", "ab", "b")
    assert paths.below(Owned("runs", "ab", "a"), "") == Owned("runs", "ab", "a")
