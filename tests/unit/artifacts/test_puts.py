"""What becomes of puts: an own, slow telling of the rules beside the real one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rekam_artifacts import paths
from rekam_artifacts.files.command import Stored, Surroundings
from rekam_proto.artifacts.v1.artifact_pb2 import FilesPut

PATHS = st.lists(st.sampled_from("abc"), min_size=1, max_size=3).map("/".join)
KEYS = st.sampled_from(["", "k1", "k2", "k3"])
DIGESTS = st.sampled_from([b"1", b"2"])
FILES = st.builds(
    lambda path, digest, key: FilesPut.File(path=path, digest=digest, object_key=key), PATHS, DIGESTS, KEYS
)
PUTS = st.lists(
    st.builds(lambda files: FilesPut(files=files), st.lists(FILES, min_size=1, max_size=3)), max_size=8
)


@given(PUTS)
def test_the_tree_stays_a_tree_and_every_file_has_bytes(puts: list[FilesPut]) -> None:
    around = Surroundings(taken={"k3"})
    listed: dict[str, bytes] = {}
    for put in puts:
        refusals = around.put(put)
        assert refusals == sorted(refusals, key=lambda one: (one.field != "path", one.number))
        if not refusals:
            listed.update((file.path, file.digest) for file in put.files)
    assert around.files == set(listed)
    assert around.folders == {folder for path in listed for folder in paths.folders_above(path)}
    assert not around.files & around.folders
    for digest in listed.values():
        key = around.stored[digest].object_key
        assert key and key not in around.taken and around.owners[key] == digest
    assert len(set(around.owners)) == len(set(around.owners.values()))
    assert not set(around.spare) & set(around.owners)


@given(PUTS, PUTS)
def test_puts_that_are_decided_together_end_as_one_after_the_other(
    first: list[FilesPut], second: list[FilesPut]
) -> None:
    together = Surroundings()
    refused = [together.put(put) for put in [*first, *second]]
    before = Surroundings()
    refused_before = [before.put(put) for put in first]
    after = Surroundings(
        files=set(before.files),
        folders=set(before.folders),
        stored=dict(before.stored),
        owners=dict(before.owners),
        taken=set(before.taken),
    )
    assert refused == refused_before + [after.put(put) for put in second]
    assert (after.files, after.folders, after.stored) == (together.files, together.folders, together.stored)


def test_refusals_say_why() -> None:
    around = Surroundings(
        files={"a"}, folders={"b"}, stored={b"1": Stored("k1", 5)}, owners={"k1": b"1"}, taken={"k2"}
    )
    put = FilesPut(
        files=[
            FilesPut.File(path="a/x", digest=b"1", size=5),
            FilesPut.File(path="b", digest=b"1", size=5),
            FilesPut.File(path="c", digest=b"1", size=6),
            FilesPut.File(path="d", digest=b"2"),
            FilesPut.File(path="e", digest=b"2", object_key="k2"),
            FilesPut.File(path="f", digest=b"2", object_key="k1"),
        ]
    )
    assert [(one.number, one.field) for one in around.put(put)] == [
        (0, "path"),
        (1, "path"),
        (2, "size"),
        (3, "digest"),
        (4, "object_key"),
        (5, "object_key"),
    ]
    assert around.files == {"a"}
