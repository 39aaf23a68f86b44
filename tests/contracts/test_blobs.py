"""What every blob store promises: one suite for S3 (SeaweedFS) and for the in-memory twin."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from rekam_runtime.blobs.memory import MemoryStore
from rekam_runtime.blobs.port import BlobStore
from rekam_runtime.blobs.s3 import S3Store
from rekam_runtime.blobs.settings import S3Settings
from rekam_runtime.errors import AlreadyExists, FailedPrecondition, Invalid, NotFound, Retry
from rekam_runtime.settings import Secret
from tests.support.ports import free_port
from tests.support.seaweed import SeaweedServer

pytestmark = pytest.mark.asyncio


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
