"""Files in and out at the bounds: of downloads at one time, of patience, of what is damaged or gone."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

import pytest

from rekam_gateway.artifacts.committing import Committer
from rekam_gateway.artifacts.transfer import Transfer
from rekam_proto.artifacts.v1 import artifact_pb2, artifact_pb2_grpc, storage_pb2_grpc
from rekam_runtime.blobs.memory import MemoryStore
from rekam_runtime.errors import DeadlineExceeded, Quarantine, Refused, SlowDown
from rekam_runtime.rpc.client import channel
from rekam_runtime.rpc.server import build_server
from rekam_runtime.settings import HostPort

DATA = bytes(range(256)) * 1024


@asynccontextmanager
async def transferring(
    blobs: MemoryStore, *, downloads: int = 8, wait_s: float = 30, idle_s: float = 30
) -> AsyncIterator[Transfer]:
    """Behind it is no artifacts service: whatever it is asked, it refuses."""
    server = build_server([], HostPort("127.0.0.1", 0))
    async with server:
        opened = channel(f"127.0.0.1:{server.port}")
        yield Transfer(
            blobs,
            artifact_pb2_grpc.ArtifactServiceStub(opened),
            Committer(storage_pb2_grpc.StorageServiceStub(opened)),
            downloads=downloads,
            download_wait_s=wait_s,
            idle_s=idle_s,
        )
        await opened.close()


async def stored(blobs: MemoryStore, data: bytes = DATA) -> artifact_pb2.File:
    await blobs.put("blobs/a", data)
    digest = hashlib.sha256(DATA).hexdigest()
    return artifact_pb2.File(path="1/a", digest=digest, size=len(DATA), object_key="blobs/a")


async def test_one_download_too_many_waits_and_is_told() -> None:
    blobs = MemoryStore()
    file = await stored(blobs)
    async with transferring(blobs, downloads=2, wait_s=0.01) as transfer:
        async with aclosing(transfer.read(file)) as first, aclosing(transfer.read(file)) as second:
            assert await anext(first) and await anext(second)
            with pytest.raises(SlowDown, match="downloads"):
                await anext(transfer.read(file))
            assert [chunk async for chunk in second]
        # Those that ended, and those that were left, make room.
        assert b"".join([chunk async for chunk in transfer.read(file)]) == DATA


async def test_the_last_bytes_of_a_damaged_file_are_kept_back() -> None:
    blobs = MemoryStore()
    file = await stored(blobs, DATA[:-1] + b"x")
    got = b""
    async with transferring(blobs) as transfer:
        with pytest.raises(Quarantine, match="damaged"):
            async for chunk in transfer.read(file):
                got += chunk
    assert len(got) < len(DATA)


async def test_bytes_that_are_gone_are_said_to_be() -> None:
    blobs = MemoryStore()
    file = await stored(blobs)
    await blobs.delete("blobs/a")
    async with transferring(blobs) as transfer:
        for start, size in ((0, None), (5, 10)):
            with pytest.raises(Quarantine, match="not stored any more"):
                await anext(transfer.read(file, start, size))


async def test_a_client_that_sends_nothing_is_not_waited_for() -> None:
    async def silent() -> AsyncIterator[bytes]:
        yield b"some"
        await asyncio.Event().wait()

    blobs = MemoryStore()
    async with transferring(blobs, idle_s=0.01) as transfer:
        with pytest.raises(DeadlineExceeded, match="nothing of the body"):
            await transfer.store("1/a", silent(), size=5)
    assert blobs.blobs == {}


async def test_bytes_that_are_not_listed_are_not_kept() -> None:
    async def body() -> AsyncIterator[bytes]:
        yield DATA

    blobs = MemoryStore()
    async with transferring(blobs) as transfer:
        for digest in ("0" * 64, ""):
            with pytest.raises(Refused):
                await transfer.store("1/a", body(), size=len(DATA), digest=digest)
            assert blobs.blobs == {}
