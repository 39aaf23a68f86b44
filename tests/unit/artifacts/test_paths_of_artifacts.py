"""Paths of artifacts: which are taken, and how they are taken apart."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rekam_artifacts import paths, rules
from rekam_runtime.errors import Invalid

RUN, MODEL = "0af1" * 8, f"m-{'0af1' * 8}"
PARTS = st.text(
    st.characters(exclude_characters="/\0#\\∖⧵⧹﹨＼:", exclude_categories=["Cs"]), min_size=1, max_size=12
)
CLEAN = st.lists(PARTS.filter(lambda part: part not in (".", "..")), min_size=1, max_size=8).map("/".join)


@given(CLEAN)
def test_clean_relative_paths_are_taken(path: str) -> None:
    rules.path(path)


@given(
    CLEAN,
    st.sampled_from(
        ["/{}", "{}/", "{}//x", "../{}", "{}/..", "{}/../x", "./{}", "{}\\x", "{}\0", "{}#x", "C:/{}"]
    ),
)
def test_others_are_refused_by_field(path: str, wrong: str) -> None:
    with pytest.raises(Invalid) as caught:
        rules.path(wrong.format(path), "files[3].path")
    assert caught.value.field == "files[3].path"


@given(CLEAN)
def test_a_path_is_its_folder_and_its_name(path: str) -> None:
    folder, name = paths.split(path)
    assert folder + name == path
    assert "/" not in name and (not folder or folder.endswith("/"))
    above = list(paths.folders_above(path))
    assert above == ["/".join(path.split("/")[:depth]) for depth in range(path.count("/"), 0, -1)]


@given(CLEAN, CLEAN)
def test_what_is_below_a_folder_is_one_range(folder: str, path: str) -> None:
    begin, end = paths.below(f"{folder}/")
    place, _ = paths.split(path)
    inside = begin.encode() <= place.encode() < end.encode()
    assert inside == path.startswith(f"{folder}/")
    begin, end = paths.below("")
    assert begin.encode() <= place.encode() < end.encode()


@pytest.mark.parametrize(
    ("path", "owner"),
    [
        (f"1/{RUN}/artifacts/a", RUN),
        (f"{RUN}/artifacts/a", RUN),
        (f"team/x/{RUN}/artifacts/a/b", RUN),
        (f"1/models/{MODEL}/artifacts/a", MODEL),
        (f"1/{RUN}/artifacts/models/{MODEL}/artifacts/a", RUN),
        (f"1/{RUN}/artifacts", None),
        (f"1/{RUN}/other/a", None),
        (f"1/{MODEL}/artifacts/a", None),
        (f"1/{RUN.upper()}/artifacts/a", None),
        ("a", None),
    ],
)
def test_who_keeps_a_file_is_in_its_path(path: str, owner: str | None) -> None:
    assert paths.owner_of(path) == owner
