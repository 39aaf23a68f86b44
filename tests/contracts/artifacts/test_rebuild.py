"""A rebuild of the artifacts' tables from the log is the same as what is read, however it came about."""

from __future__ import annotations

import asyncio

import pytest

from rekam_artifacts.plan import PLAN
from rekam_proto.artifacts.v1 import artifact_pb2
from rekam_runtime.blobs.memory import MemoryStore
from rekam_runtime.eventlog.memory import MemoryLog
from rekam_runtime.postgres import acquire, pinned
from rekam_runtime.rebuild import Rebuilder, requests
from rekam_runtime.rebuild.requests import Standing
from tests.support.artifacts import Artifacts, running_artifacts

pytestmark = pytest.mark.asyncio


async def rebuilt(artifacts: Artifacts) -> Standing:
    async with acquire(artifacts.pool) as connection:
        await requests.start(connection, "ada", accept_differences=False)
    working = asyncio.create_task(Rebuilder(artifacts.log, artifacts.pool, PLAN).run())
    try:
        async with asyncio.timeout(60):
            while True:
                async with acquire(artifacts.pool) as connection:
                    standing = await requests.find(connection)
                if standing.ended:
                    return standing
                await asyncio.sleep(0.05)
    finally:
        working.cancel()
        await asyncio.wait([working])


async def test_the_tables_are_the_same_and_readers_get_them(database_url: str) -> None:
    async with running_artifacts(MemoryLog(), database_url, MemoryStore()) as artifacts:
        await artifacts.put_many({f"a/{number}": f"{number % 7}".encode() for number in range(50)})
        await asyncio.gather(*(artifacts.put(f"b/{number}", f"{number}".encode()) for number in range(20)))
        await artifacts.files.StartUpload(artifact_pb2.StartUploadRequest(path="c", parts=3))
        await artifacts.delete("a/1")
        await artifacts.delete("b")
        await artifacts.collect()
        await artifacts.files.StartUpload(artifact_pb2.StartUploadRequest(path="c", parts=3))
        await artifacts.files.RecordUse(artifact_pb2.RecordUseRequest(run_id="c" * 32, paths=["a/2"]))
        standing = await rebuilt(artifacts)
        assert (standing.row["state"], standing.row["differing"]) == ("done", 0)
        assert len(await artifacts.listed(recursive=True)) == 49
        await artifacts.put("d", b"after it")
        assert await artifacts.read("d") == b"after it"


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE entries SET media_type = 'x' WHERE name = '3'",
        "DELETE FROM entries WHERE folder = ''",
        "UPDATE blobs SET size = 5 WHERE digest = (SELECT min(digest) FROM blobs)",
        "UPDATE taken_objects SET removed = NOT removed",
        "DELETE FROM uploads",
        "DELETE FROM uses",
    ],
)
async def test_damage_is_found(database_url: str, damage: str) -> None:
    async with running_artifacts(MemoryLog(), database_url, MemoryStore()) as artifacts:
        await artifacts.put_many({f"a/{number}": b"x" for number in range(5)})
        await artifacts.files.StartUpload(artifact_pb2.StartUploadRequest(path="c", parts=3))
        await artifacts.files.RecordUse(artifact_pb2.RecordUseRequest(run_id="c" * 32, paths=["a/2"]))
        async with pinned(artifacts.pool) as connection:
            await connection.execute(damage)
        standing = await rebuilt(artifacts)
        assert standing.row["state"] == "different"
        assert standing.row["differing"] >= 1
