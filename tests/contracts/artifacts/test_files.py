"""Files of the artifacts service: put, listed, deleted, over gRPC on a real Postgres."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable

import grpc
import grpc.aio
import pytest

from rekam_artifacts import tokens
from rekam_proto.artifacts.v1 import artifact_pb2
from rekam_proto.artifacts.v1.artifact_pb2 import File
from rekam_runtime.blobs.memory import MemoryStore
from rekam_runtime.eventlog.memory import MemoryLog
from rekam_runtime.rpc.status import error_from_rpc
from tests.support.artifacts import Artifacts, digest_of, running_artifacts, uploaded_file

pytestmark = pytest.mark.asyncio

RUN = f"1/{'a' * 32}/artifacts"


@pytest.fixture
async def artifacts(database_url: str) -> AsyncIterator[Artifacts]:
    async with running_artifacts(MemoryLog(), database_url, MemoryStore(), grace_s=3600) as running:
        yield running


async def refused(call: Awaitable[object], code: grpc.StatusCode, field: str) -> str:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    assert caught.value.code() == code, caught.value.details()
    assert error_from_rpc(caught.value).field == field
    return str(caught.value.details())


async def test_a_file_is_listed_with_its_folders(artifacts: Artifacts) -> None:
    put = await artifacts.put(f"{RUN}/plots/roc.png", b"png", media_type="image/png")
    assert (put.size, put.digest, put.media_type) == (3, digest_of(b"png"), "image/png")
    assert put == await artifacts.files.GetFile(artifact_pb2.GetFileRequest(path=f"{RUN}/plots/roc.png"))
    assert put.updated_ms > 0
    assert await artifacts.read(f"{RUN}/plots/roc.png") == b"png"
    assert await artifacts.listed() == ["1/"]
    assert await artifacts.listed(RUN) == [f"{RUN}/plots/"]
    assert await artifacts.listed(f"{RUN}/plots") == [f"{RUN}/plots/roc.png"]
    assert await artifacts.listed(f"{RUN}/plots/roc.png") == []
    assert await artifacts.listed("2") == []


@pytest.mark.parametrize(
    "name",
    [
        "a b",
        " a",
        "ä/ö",
        "日本",
        "a+b",
        "100%",
        "%2e%2e",
        "%2F",
        "~",
        "'\"",
        "a\tb\n",
        "..a",
        "a..",
        "...",
        "C:x",
        "💾" * 200,
    ],
)
async def test_names_of_any_kind_come_back_as_they_were(artifacts: Artifacts, name: str) -> None:
    path = f"{RUN}/{name}"
    await artifacts.put(path, name.encode())
    assert await artifacts.read(path) == name.encode()
    assert await artifacts.listed(RUN, recursive=True) == [path]


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/a",
        "a/",
        "a//b",
        ".",
        "..",
        "a/../b",
        "a/..",
        "./a",
        "a\\b",
        "..\\a",
        "a\0b",
        "a#b",
        "C:/a",
        "c:\\a",
        "a＼b",
        "x" * 4096,
        "ä" * 1025,
        "/".join("a" * 101),
    ],
)
async def test_other_paths_are_refused(artifacts: Artifacts, path: str) -> None:
    invalid = grpc.StatusCode.INVALID_ARGUMENT
    file = File(path=path, digest=digest_of(b""))
    put = artifact_pb2.PutFilesRequest(files=[file])
    await refused(artifacts.files.PutFiles(put), invalid, "files[0].path")
    await refused(artifacts.files.GetFile(artifact_pb2.GetFileRequest(path=path)), invalid, "path")
    await refused(artifacts.files.DeleteFiles(artifact_pb2.DeleteFilesRequest(path=path)), invalid, "path")
    if path:
        await refused(artifacts.files.ListFiles(artifact_pb2.ListFilesRequest(path=path)), invalid, "path")


async def test_a_path_of_the_greatest_length_is_kept(artifacts: Artifacts) -> None:
    deep = "/".join(["d" * 19] * 99) + "/" + "x" * 68
    long = "ä" * 1024
    assert len(deep.encode()) == len(long.encode()) == 2048
    await artifacts.put_many({deep: b"1", long: b"2"})
    assert sorted(await artifacts.listed(recursive=True)) == sorted([deep, long])


async def test_the_last_write_of_a_path_counts(artifacts: Artifacts) -> None:
    await artifacts.put("a", b"1")
    await artifacts.put("a", b"2", media_type="x/y")
    assert await artifacts.read("a") == b"2"
    first, second = await asyncio.gather(
        *(uploaded_file(artifacts.store, "b", data) for data in (b"1", b"2"))
    )
    answer = await artifacts.storage.PutStoredFiles(artifact_pb2.PutFilesRequest(files=[first, second]))
    assert [file.digest for file in answer.files] == [digest_of(b"2")] * 2
    assert await artifacts.read("b") == b"2"


async def test_no_file_where_a_folder_is_and_the_other_way_round(artifacts: Artifacts) -> None:
    await artifacts.put("a/b/c", b"1")
    put, wrong = artifacts.storage.PutStoredFiles, grpc.StatusCode.FAILED_PRECONDITION
    for path, within in (("a", "a"), ("a/b", "a/b"), ("a/b/c/d", "a/b/c"), ("a/b/c/d/e", "a/b/c")):
        fine = await uploaded_file(artifacts.store, "x", b"fine")
        barred = await uploaded_file(artifacts.store, path, b"2")
        call = put(artifact_pb2.PutFilesRequest(files=[fine, barred]))
        assert repr(within) in await refused(call, wrong, "files[1].path")
    for pair in (["d", "d/e"], ["d/e/f", "d/e"]):
        files = [await uploaded_file(artifacts.store, path, b"3") for path in pair]
        call = put(artifact_pb2.PutFilesRequest(files=files))
        await refused(call, wrong, "files[0].path")
    assert await artifacts.listed(recursive=True) == ["a/b/c"]


async def test_a_race_for_a_path_is_decided_once_for_all(artifacts: Artifacts) -> None:
    """A file "n" and a file "n/x" at one moment: one of them is there, and its writer was told so."""

    async def put(path: str) -> bool:
        try:
            await artifacts.put(path, path.encode())
        except grpc.aio.AioRpcError as error:
            return error.code() != grpc.StatusCode.FAILED_PRECONDITION
        return True

    for number in range(20):
        won = await asyncio.gather(put(f"{number}"), put(f"{number}/x"))
        assert sum(won) == 1
        there = await artifacts.listed(f"{number}") or [f"{number}"]
        assert there == ([f"{number}"] if won[0] else [f"{number}/x"])


async def test_bytes_that_are_stored_need_no_upload(artifacts: Artifacts) -> None:
    first = await artifacts.put("a", b"same")
    digests = [digest_of(b"same"), digest_of(b"other")]
    found = await artifacts.files.FindBlobs(artifact_pb2.FindBlobsRequest(digests=digests))
    assert [(blob.digest, blob.size) for blob in found.blobs] == [(digests[0], 4)]
    put = artifact_pb2.PutFilesRequest(files=[File(path="b/c", digest=digests[0], size=4)])
    (second,) = (await artifacts.files.PutFiles(put)).files
    assert second.object_key == first.object_key
    third = await artifacts.put("d", b"same")
    assert third.object_key == first.object_key
    for file, field in (
        (File(path="e", digest=digests[1], size=5), "digest"),
        (File(path="e", digest=digests[0], size=5), "size"),
    ):
        call = artifacts.files.PutFiles(artifact_pb2.PutFilesRequest(files=[file]))
        await refused(call, grpc.StatusCode.FAILED_PRECONDITION, f"files[0].{field}")
    forged = File(path="e", digest=digests[1], size=5, object_key="blobs/" + "0" * 32)
    call = artifacts.files.PutFiles(artifact_pb2.PutFilesRequest(files=[forged]))
    await refused(call, grpc.StatusCode.INVALID_ARGUMENT, "files[0].object_key")


async def test_deleting(artifacts: Artifacts) -> None:
    await artifacts.put_many(dict.fromkeys(("a/b/c", "a/b/d/e", "a/bc", "a!b/c", "f"), b"x"))
    not_recursive = artifacts.files.DeleteFiles(artifact_pb2.DeleteFilesRequest(path="a/b"))
    await refused(not_recursive, grpc.StatusCode.FAILED_PRECONDITION, "path")
    await artifacts.delete("a/b")
    await artifacts.delete("a/b")
    assert await artifacts.listed(recursive=True) == ["f", "a!b/c", "a/bc"]
    await artifacts.delete("a/bc", recursive=False)
    assert await artifacts.listed() == ["a!b/", "f"]  # a folder is there as long as something is in it
    await artifacts.put("a", b"now a file")
    await artifacts.delete("a")
    await artifacts.put("a/b/c", b"y")
    assert await artifacts.read("a/b/c") == b"y"


async def test_a_folder_is_listed_page_by_page(artifacts: Artifacts) -> None:
    names = sorted([*(f"n{number:03}" for number in range(250)), "a", "n1/x", "z/y", "Ä", "~"])
    await artifacts.put_many({f"top/{name}": b"x" for name in names})
    shown = sorted({name.split("/")[0] + ("/" if "/" in name else "") for name in names}, key=str.encode)
    for recursive, wanted in ((False, shown), (True, None)):
        request = artifact_pb2.ListFilesRequest(path="top", page_size=7, recursive=recursive)
        found: list[str] = []
        while True:
            page = await artifacts.files.ListFiles(request)
            assert len(page.entries) == 7 or not page.next_page_token
            found += [
                f"{entry.folder.path}/" if entry.HasField("folder") else entry.file.path
                for entry in page.entries
            ]
            if not page.next_page_token:
                break
            request.page_token = page.next_page_token
        if wanted is not None:
            assert found == [f"top/{name}" for name in wanted]
        else:
            assert sorted(found) == sorted(f"top/{name}" for name in names)
    other = artifact_pb2.ListFilesRequest(path="z", page_token=request.page_token)
    await refused(artifacts.files.ListFiles(other), grpc.StatusCode.INVALID_ARGUMENT, "page_token")


async def test_a_request_has_its_bounds(artifacts: Artifacts) -> None:
    await artifacts.put("a", b"")
    most = [File(path=f"{number}", digest=digest_of(b"")) for number in range(1000)]
    await artifacts.files.PutFiles(artifact_pb2.PutFilesRequest(files=most))
    assert len(await artifacts.listed()) == 1001
    invalid = grpc.StatusCode.INVALID_ARGUMENT
    for files in (
        [],
        [*most, most[0]],
        [File(path=f"{n}".zfill(2000), digest=digest_of(b"")) for n in range(999)],
    ):
        call = artifacts.files.PutFiles(artifact_pb2.PutFilesRequest(files=files))
        await refused(call, invalid, "files")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("digest", "A" * 64),
        ("digest", "a" * 63),
        ("size", -1),
        ("media_type", "a\r\nb"),
        ("media_type", "a" * 256),
    ],
)
async def test_other_rules_are_said_by_field(artifacts: Artifacts, field: str, value: object) -> None:
    file = File(path="a", digest=digest_of(b""))
    setattr(file, field, value)
    call = artifacts.files.PutFiles(artifact_pb2.PutFilesRequest(files=[file]))
    await refused(call, grpc.StatusCode.INVALID_ARGUMENT, f"files[0].{field}")


async def test_lineage(artifacts: Artifacts) -> None:
    model = f"1/models/m-{'b' * 32}/artifacts"
    await artifacts.put_many(
        {f"{RUN}/data.csv": b"1", f"{model}/data.csv": b"1", "shared/data.csv": b"1", "x": b"2"}
    )
    use = artifact_pb2.RecordUseRequest(run_id="c" * 32, paths=["shared/data.csv", "x"])
    await artifacts.files.RecordUse(use)
    await artifacts.files.RecordUse(use)
    kind = artifact_pb2

    async def edges(**of: str) -> list[tuple[int, str, str]]:
        found: list[tuple[int, str, str]] = []
        request = artifact_pb2.GetLineageRequest(page_size=1, **of)
        while True:
            page = await artifacts.files.GetLineage(request)
            found += [(edge.kind, edge.owner, edge.path) for edge in page.edges]
            if not page.next_page_token:
                return found
            request.page_token = page.next_page_token

    everywhere = [
        (kind.EDGE_KIND_UNSPECIFIED, "", "shared/data.csv"),
        (kind.EDGE_KIND_PRODUCED, "a" * 32, f"{RUN}/data.csv"),
        (kind.EDGE_KIND_USED, "c" * 32, "shared/data.csv"),
        (kind.EDGE_KIND_CONTAINED, f"m-{'b' * 32}", f"{model}/data.csv"),
    ]
    assert await edges(path=f"{RUN}/data.csv") == everywhere
    assert await edges(digest=digest_of(b"1")) == everywhere
    assert await edges(run_id="a" * 32) == everywhere[1:2]
    assert await edges(run_id="c" * 32) == [everywhere[2], (kind.EDGE_KIND_USED, "c" * 32, "x")]
    assert await edges(model_id=f"m-{'b' * 32}") == everywhere[3:]
    request = artifact_pb2.GetLineageRequest(run_id="c" * 32)
    for place in (("EDGE_KIND_USED", "", "", "no hex"), ("KIND", "", "", ""), ("1",), ("\0", "", "", "")):
        request.page_token = tokens.encode(request, *place)
        made_up = artifacts.files.GetLineage(request)
        await refused(made_up, grpc.StatusCode.INVALID_ARGUMENT, "page_token")
    missing = artifact_pb2.RecordUseRequest(run_id="c" * 32, paths=["x", "y"])
    await refused(artifacts.files.RecordUse(missing), grpc.StatusCode.NOT_FOUND, "paths[1]")
