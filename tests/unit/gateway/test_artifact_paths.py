"""Paths of artifacts as requests have them: what is decoded, what is refused."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from rekam_gateway.http.artifact_paths import below, clean, root_of
from rekam_runtime.errors import FailedPrecondition, Invalid


def encoded(path: str, times: int) -> str:
    for _ in range(times):
        path = quote(path, safe="")
    return path


@pytest.mark.parametrize(
    "path", ["a", "0/r/artifacts/ä +~.txt", "a b/100%/c", "x..y/...", "a:b", "-", ".hidden", "日本/語", ""]
)
@pytest.mark.parametrize("times", [0, 1, 2, 9])
def test_a_path_is_the_same_however_often_it_was_encoded(path: str, times: int) -> None:
    assert clean(encoded(path, times)) == path


@pytest.mark.parametrize(
    "path",
    [
        "..",
        "../a",
        "a/../b",
        "a/..",
        "/etc/passwd",
        "//host/share",
        "C:/a",
        "C:\\a",
        "a\\b",
        "\\\\h\\s",
        "a#b",
    ],
)
@pytest.mark.parametrize("times", [0, 1, 2, 9])
def test_what_leads_elsewhere_is_refused_however_often_it_was_encoded(path: str, times: int) -> None:
    with pytest.raises(Invalid, match=r"^Invalid path$"):
        clean(encoded(path, times))


def test_what_is_encoded_without_end_is_refused() -> None:
    with pytest.raises(Invalid, match=r"^Invalid path$"):
        clean(encoded("a b", 11))


def test_the_folder_of_a_run() -> None:
    root = "1/0af1/artifacts"
    for uri in (
        f"mlflow-artifacts:/{root}",
        f"mlflow-artifacts:/{root}/",
        f"mlflow-artifacts://host:5000/{root}",
    ):
        assert root_of(uri) == root
    assert below(root, "") == root
    assert below(root, "a/b") == f"{root}/a/b"
    with pytest.raises(Invalid):
        below(root, "a/../../../2")
    for uri in ("s3://bucket/a", "/mnt/a", "file:///a", ""):
        with pytest.raises(FailedPrecondition, match="not served here"):
            root_of(uri)
