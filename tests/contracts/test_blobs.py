"""What every blob store promises: one suite for S3 (SeaweedFS) and for the in-memory twin."""

from __future__ import annotations

import asyncio
import hashlib
import os
import uuid
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import pytest

from rekam_runtime.blobs.memory import MemoryStore
from rekam_runtime.blobs.port import BlobStore, Part, SignedRequest
from rekam_runtime.blobs.s3 import S3Store
from rekam_runtime.blobs.settings import S3Settings
from rekam_runtime.blobs.writing import PART_BYTES, Written, write
from rekam_runtime.budget import ByteBudget
from rekam_runtime.errors import AlreadyExists, FailedPrecondition, Invalid, NotFound, Retry, Unsupported
from rekam_runtime.settings import Secret
from tests.support.ports import free_port
from tests.support.seaweed import SeaweedServer, running_seaweed
from tests.support.small_disk import small_disk

pytestmark = pytest.mark.asyncio
MIB = 1024 * 1024


@pytest.fixture(params=["memory", "s3"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[BlobStore]:
    opened: BlobStore
    if request.param == "memory":
        opened = MemoryStore()
    else:
        server: SeaweedServer = request.getfixturevalue("seaweed_server")
        opened = S3Store(server.settings, page=20)
    yield opened
    await opened.close()


@pytest.fixture
def folder() -> str:
    """Beginning of keys that nobody else uses."""
    return uuid.uuid4().hex


@pytest.mark.parametrize("size", [0, 1, 100_000, 20 * 1024 * 1024])
async def test_what_is_put_comes_back(store: BlobStore, folder: str, size: int) -> None:
    data = (uuid.uuid4().bytes * (size // 16 + 1))[:size]
    await store.put(f"{folder}/ä b+c", data)
    assert await store.get(f"{folder}/ä b+c") == data


async def test_a_blob_is_written_once(store: BlobStore, folder: str) -> None:
    await store.put(f"{folder}/a", b"first")
    with pytest.raises(AlreadyExists):
        await store.put(f"{folder}/a", b"second")
    assert await store.get(f"{folder}/a") == b"first"


async def test_of_racing_puts_one_wins(store: BlobStore, folder: str) -> None:
    answers = await asyncio.gather(
        *(store.put(f"{folder}/a", str(n).encode()) for n in range(8)), return_exceptions=True
    )
    (winner,) = (number for number, answer in enumerate(answers) if answer is None)
    assert all(isinstance(answer, AlreadyExists) for answer in answers if answer is not None)
    assert await store.get(f"{folder}/a") == str(winner).encode()


async def test_a_part_is_read(store: BlobStore, folder: str) -> None:
    await store.put(f"{folder}/a", bytes(range(100)))
    assert await store.get_range(f"{folder}/a", 10, 5) == bytes(range(10, 15))
    assert await store.get_range(f"{folder}/a", 95, 50) == bytes(range(95, 100))
    for start, size in ((100, 1), (0, 0)):
        with pytest.raises(Invalid):
            await store.get_range(f"{folder}/a", start, size)


async def test_what_is_not_there_is_said(store: BlobStore, folder: str) -> None:
    with pytest.raises(NotFound, match=folder):
        await store.get(f"{folder}/a")
    with pytest.raises(NotFound):
        await store.get_range(f"{folder}/a", 0, 1)
    await store.delete(f"{folder}/a")
    assert [blob async for blob in store.list(f"{folder}/")] == []


async def test_deleted_is_gone_and_may_be_written_again(store: BlobStore, folder: str) -> None:
    await store.put(f"{folder}/a", b"first")
    await store.delete(f"{folder}/a")
    await store.put(f"{folder}/a", b"second")
    assert await store.get(f"{folder}/a") == b"second"


async def test_a_listing_is_in_order_past_a_page(store: BlobStore, folder: str) -> None:
    keys = [f"{folder}/{part}/{number:05}" for part in ("a", "b") for number in range(30)]
    for key in reversed(keys):
        await store.put(key, key[-3:].encode())
    listed = [blob async for blob in store.list(f"{folder}/")]
    assert [blob.key for blob in listed] == keys
    assert {blob.size for blob in listed} == {3}
    assert [blob.key async for blob in store.list(f"{folder}/b/")] == keys[30:]
    assert [blob.key async for blob in store.list(f"{folder}/a/", after=keys[20])] == keys[21:30]


async def test_wrong_bytes_are_not_stored(store: BlobStore, folder: str) -> None:
    digest = hashlib.sha256(b"right").hexdigest()
    with pytest.raises(Retry):
        await store.put(f"{folder}/a", b"wrong", digest)
    assert [blob async for blob in store.list(f"{folder}/")] == []
    await store.put(f"{folder}/a", b"right", digest)
    assert await store.get(f"{folder}/a") == b"right"


async def test_a_blob_is_read_as_a_stream(store: BlobStore, folder: str) -> None:
    data = os.urandom(3 * MIB)
    await store.put(f"{folder}/a", data)
    assert b"".join([chunk async for chunk in store.read(f"{folder}/a")]) == data
    for start, size in ((0, 1), (5, 2 * MIB), (3 * MIB - 1, 9), (7, None), (0, 3 * MIB)):
        read = [chunk async for chunk in store.read(f"{folder}/a", start, size)]
        assert b"".join(read) == data[start : None if size is None else start + size]
    for start, size in ((3 * MIB, 1), (3 * MIB, None)):
        with pytest.raises(Invalid):
            _ = [chunk async for chunk in store.read(f"{folder}/a", start, size)]
    with pytest.raises(NotFound):
        _ = [chunk async for chunk in store.read(f"{folder}/b")]


async def test_an_empty_blob_is_read_as_a_stream(store: BlobStore, folder: str) -> None:
    await store.put(f"{folder}/a", b"")
    assert b"".join([chunk async for chunk in store.read(f"{folder}/a")]) == b""


async def test_a_blob_is_described(store: BlobStore, folder: str) -> None:
    await store.put(f"{folder}/ä b", b"four")
    stat = await store.stat(f"{folder}/ä b")
    assert (stat.key, stat.size) == (f"{folder}/ä b", 4)
    with pytest.raises(NotFound):
        await store.stat(f"{folder}/b")


async def test_blobs_say_when_they_were_stored(store: BlobStore, folder: str) -> None:
    before = datetime.now(UTC) - timedelta(seconds=2)  # S3 says whole seconds
    await store.put(f"{folder}/a", b"x")
    (listed,) = [blob async for blob in store.list(f"{folder}/")]
    after = datetime.now(UTC) + timedelta(seconds=1)
    assert before <= listed.stored <= after
    assert before <= (await store.stat(f"{folder}/a")).stored <= after


async def test_parts_that_are_there_are_listed(store: BlobStore, folder: str) -> None:
    key = f"{folder}/a"
    upload_id = await store.begin_upload(key)
    assert [part async for part in store.list_parts(key, upload_id)] == []
    parts = [await store.put_part(key, upload_id, number, bytes(number)) for number in (3, 1, 7)]
    listed = [part async for part in store.list_parts(key, upload_id)]
    assert listed == sorted(parts, key=lambda part: part.number)
    assert [part.size for part in listed] == [1, 3, 7]
    await store.abort_upload(key, upload_id)
    with pytest.raises(NotFound):
        [part async for part in store.list_parts(key, upload_id)]


async def test_a_blob_is_made_of_its_parts_in_order(store: BlobStore, folder: str) -> None:
    key, data = f"{folder}/a", os.urandom(11 * MIB)
    upload_id = await store.begin_upload(key)
    second = await store.put_part(key, upload_id, 2, data[6 * MIB :])
    first = await store.put_part(key, upload_id, 1, data[: 6 * MIB])
    assert [blob async for blob in store.list(f"{folder}/")] == []
    await store.complete_upload(key, upload_id, [second, first])
    assert await store.get(key) == data
    assert (await store.stat(key)).size == len(data)
    assert [upload async for upload in store.list_uploads(f"{folder}/")] == []


async def test_a_part_that_is_not_there_makes_no_blob(store: BlobStore, folder: str) -> None:
    key = f"{folder}/a"
    upload_id = await store.begin_upload(key)
    part = await store.put_part(key, upload_id, 1, b"one")
    for wrong in ([replace(part, number=2)], [replace(part, etag='"0123456789abcdef0123456789abcdef"')]):
        with pytest.raises(Invalid):
            await store.complete_upload(key, upload_id, wrong)
    assert [blob async for blob in store.list(f"{folder}/")] == []


async def test_an_aborted_upload_is_gone(store: BlobStore, folder: str) -> None:
    key = f"{folder}/a"
    upload_id = await store.begin_upload(key)
    part = await store.put_part(key, upload_id, 1, b"one")
    await store.abort_upload(key, upload_id)
    await store.abort_upload(key, upload_id)
    with pytest.raises(NotFound):
        await store.complete_upload(key, upload_id, [part])
    with pytest.raises(NotFound):
        await store.put_part(key, upload_id, 1, b"one")
    assert [upload async for upload in store.list_uploads(f"{folder}/")] == []


async def test_uploads_left_behind_are_listed(store: BlobStore, folder: str) -> None:
    before = datetime.now(UTC) - timedelta(seconds=2)  # S3 says whole seconds
    begun = {(key, await store.begin_upload(key)) for key in (f"{folder}/a", f"{folder}/b", f"{folder}/a")}
    await store.begin_upload(f"{uuid.uuid4().hex}/a")
    listed = [upload async for upload in store.list_uploads(f"{folder}/")]
    assert {(upload.key, upload.upload_id) for upload in listed} == begun
    assert all(before <= upload.begun <= datetime.now(UTC) + timedelta(seconds=1) for upload in listed)


async def in_chunks(data: bytes, size: int = 100_000) -> AsyncIterator[bytes]:
    for at in range(0, len(data), size):
        yield data[at : at + size]


@pytest.mark.parametrize("size", [0, 1, PART_BYTES - 1, PART_BYTES, PART_BYTES + 1, 3 * PART_BYTES + 5])
@pytest.mark.parametrize("said", [True, False])
async def test_a_body_of_any_length_is_written(store: BlobStore, folder: str, size: int, said: bool) -> None:
    data, budget = os.urandom(size), ByteBudget(2 * PART_BYTES)
    written = await write(store, f"{folder}/a", in_chunks(data), budget, size if said else None)
    assert written == Written(size, hashlib.sha256(data).hexdigest())
    assert await store.get(f"{folder}/a") == data
    assert budget.held == 0


@pytest.mark.parametrize("size", [10, 2 * PART_BYTES])
@pytest.mark.parametrize("said", [-1, 1])
async def test_a_body_of_another_length_is_not_stored(
    store: BlobStore, folder: str, size: int, said: int
) -> None:
    budget = ByteBudget(4 * PART_BYTES)
    with pytest.raises(FailedPrecondition, match="the body"):
        await write(store, f"{folder}/a", in_chunks(os.urandom(size)), budget, size + said)
    await nothing_is_left(store, folder, budget)


async def test_a_body_that_breaks_is_not_stored(store: BlobStore, folder: str) -> None:
    async def breaking() -> AsyncIterator[bytes]:
        yield os.urandom(2 * PART_BYTES + 1)
        raise Retry("the client is gone")

    budget = ByteBudget(4 * PART_BYTES)
    with pytest.raises(Retry, match="the client is gone"):
        await write(store, f"{folder}/a", breaking(), budget)
    await nothing_is_left(store, folder, budget)


async def test_a_write_that_is_cancelled_leaves_nothing(store: BlobStore, folder: str) -> None:
    waits = asyncio.Event()

    async def waiting() -> AsyncIterator[bytes]:
        async for chunk in in_chunks(bytes(3 * PART_BYTES + 1)):
            yield chunk
        waits.set()
        await asyncio.Event().wait()

    budget = ByteBudget(2 * PART_BYTES)  # so one part at least was sent when the body waits
    task = asyncio.create_task(write(store, f"{folder}/a", waiting(), budget))
    await waits.wait()
    assert [upload.key async for upload in store.list_uploads(f"{folder}/")] == [f"{folder}/a"]
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await nothing_is_left(store, folder, budget)


async def test_writes_hold_no_more_than_their_budget(store: BlobStore, folder: str) -> None:
    budget, greatest = ByteBudget(3 * PART_BYTES), 0

    async def watched(size: int) -> AsyncIterator[bytes]:
        nonlocal greatest
        async for chunk in in_chunks(bytes(size)):
            greatest = max(greatest, budget.held)
            yield chunk

    await asyncio.gather(*(write(store, f"{folder}/{n}", watched(PART_BYTES * 2), budget) for n in range(6)))
    assert PART_BYTES < greatest <= budget.limit
    assert budget.held == 0


async def nothing_is_left(store: BlobStore, folder: str, budget: ByteBudget) -> None:
    assert [blob async for blob in store.list(f"{folder}/")] == []
    assert [upload async for upload in store.list_uploads(f"{folder}/")] == []
    assert budget.held == 0


async def test_what_nobody_can_reach_is_not_signed(store: BlobStore) -> None:
    assert not store.signs
    for signing in (
        store.sign_put("a", hashlib.sha256(b"").hexdigest(), 60),
        store.sign_part("a", "upload", 1, 60),
        store.sign_get("a", 60),
    ):
        with pytest.raises(Unsupported):
            await signing


# S3 alone: what a store that is somewhere else can do.


async def test_nobody_there_is_retry() -> None:
    key = Secret("key")
    nowhere = f"http://127.0.0.1:{free_port()}"
    store = S3Store(S3Settings(s3_bucket="rekam", s3_endpoint=nowhere, s3_access_key=key, s3_secret_key=key))
    with pytest.raises(Retry, match="does not answer"):
        await store.get("a")
    with pytest.raises(Retry):
        await store.put("a", b"")
    with pytest.raises(Retry):
        _ = [blob async for blob in store.list("")]
    await store.close()


async def test_a_missing_bucket_and_wrong_keys_are_named(seaweed_server: SeaweedServer) -> None:
    settings = seaweed_server.settings
    for wrong, said in (
        (replace(settings, s3_bucket="no-such-bucket"), "no-such-bucket"),
        (replace(settings, s3_secret_key=Secret("wrong")), "SignatureDoesNotMatch"),
    ):
        store = S3Store(wrong)
        with pytest.raises(FailedPrecondition, match=said):
            _ = [blob async for blob in store.list("")]
        await store.close()


async def test_after_a_kill_it_goes_on(mortal_seaweed_server: SeaweedServer) -> None:
    server = mortal_seaweed_server
    store = S3Store(server.settings)
    await store.put("kept", b"kept")
    await asyncio.to_thread(server.kill)
    with pytest.raises(Retry):
        await store.get("kept")
    await asyncio.to_thread(server.start)
    assert await store.get("kept") == b"kept"
    await store.put("next", b"next")
    await store.close()


async def test_a_full_disk_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    budget = ByteBudget(4 * PART_BYTES)
    with small_disk(tmp_path / "disk", megabytes=300) as disk, running_seaweed(disk.path) as server:
        store = S3Store(server.settings)
        await store.put("before", b"before")
        disk.fill(leave=1_000_000)
        with pytest.raises(Retry, match="their disk is full"):
            await store.put("large", os.urandom(5_000_000))
        with pytest.raises(Retry, match="their disk is full"):
            await write(store, "body", in_chunks(os.urandom(2 * PART_BYTES)), budget)
        assert await store.get("before") == b"before"
        disk.free()
        async with asyncio.timeout(30):
            while True:
                try:
                    await write(store, "body", in_chunks(bytes(2 * PART_BYTES)), budget)
                    break
                except Retry:
                    await asyncio.sleep(0.1)
        assert {blob.key async for blob in store.list("")} >= {"before", "body"}
        assert [upload async for upload in store.list_uploads("")] == []
        await store.close()


@pytest.fixture
async def signing(seaweed_server: SeaweedServer) -> AsyncIterator[S3Store]:
    """A store that signs for another address than its own: a name of the same machine."""
    settings = seaweed_server.settings
    public = settings.s3_endpoint.replace("127.0.0.1", "localhost")
    store = S3Store(replace(settings, s3_public_endpoint=public))
    yield store
    await store.close()


async def test_whoever_holds_a_signed_put_stores_these_bytes_only(signing: S3Store, folder: str) -> None:
    data = os.urandom(1000)
    signed = await signing.sign_put(f"{folder}/ä b+c", hashlib.sha256(data).hexdigest(), 60)
    assert signing.signs and urlsplit(signed.url).hostname == "localhost"
    for refused in (
        await send("PUT", signed, os.urandom(1000)),
        await send("PUT", replace(signed, headers={}), data),
        await send("PUT", replace(signed, url=signed.url.replace("c?", "d?")), data),
    ):
        assert refused.status in (400, 403)
    assert [blob async for blob in signing.list(f"{folder}/")] == []
    assert (await send("PUT", signed, data)).status == 200
    assert await signing.get(f"{folder}/ä b+c") == data


async def test_whoever_holds_signed_parts_stores_them(signing: S3Store, folder: str) -> None:
    key, data = f"{folder}/a", os.urandom(6 * MIB)
    upload_id = await signing.begin_upload(key, signed=True)
    parts = []
    for number, part in ((1, data[: 5 * MIB]), (2, data[5 * MIB :])):
        answer = await send("PUT", await signing.sign_part(key, upload_id, number, 60), part)
        parts.append(Part(number, answer.etag))
    await signing.complete_upload(key, upload_id, parts)
    assert await signing.get(key) == data


async def test_whoever_holds_a_signed_get_reads_and_reads_ranges(signing: S3Store, folder: str) -> None:
    await signing.put(f"{folder}/a", bytes(range(200)))
    disposition = "attachment; filename*=UTF-8''%C3%A4"
    signed = await signing.sign_get(f"{folder}/a", 60, media_type="text/x", disposition=disposition)
    whole = await send("GET", signed)
    assert (whole.status, whole.body) == (200, bytes(range(200)))
    assert (whole.headers["Content-Type"], whole.headers["Content-Disposition"]) == ("text/x", disposition)
    part = await send("GET", replace(signed, headers={"Range": "bytes=10-19"}))
    assert (part.status, part.body) == (206, bytes(range(10, 20)))


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def etag(self) -> str:
        return self.headers["ETag"]


async def send(method: str, signed: SignedRequest, body: bytes | None = None) -> Answer:
    """As a client without our libraries would."""

    def sent() -> Answer:
        request = Request(signed.url, data=body, headers=dict(signed.headers), method=method)
        try:
            with urlopen(request) as answer:
                return Answer(answer.status, dict(answer.headers), answer.read())
        except HTTPError as error:
            return Answer(error.code, dict(error.headers), error.read())

    return await asyncio.to_thread(sent)
