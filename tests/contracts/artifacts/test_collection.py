"""Collection of garbage: what nobody needs goes, and nothing else, whatever happens at the same moment."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator

import grpc
import grpc.aio
import pytest

from rekam_artifacts.collection.collector import Collector
from rekam_artifacts.events import COLLECTIONS_SUBJECT, STREAM
from rekam_artifacts.journal import Journal
from rekam_artifacts.reads import Reads
from rekam_proto.artifacts.v1 import artifact_pb2
from rekam_proto.artifacts.v1.artifact_pb2 import GarbageCollected
from rekam_runtime.blobs.memory import MemoryStore
from rekam_runtime.blobs.port import Blob
from rekam_runtime.errors import FailedPrecondition
from rekam_runtime.eventlog.envelope import Cause, draft, wrap
from rekam_runtime.eventlog.memory import MemoryLog
from rekam_runtime.process import beside
from rekam_runtime.projection import FreshReads
from rekam_runtime.rpc.status import error_from_rpc
from tests.contracts.test_projection import until
from tests.support.artifacts import Artifacts, digest_of, running_artifacts, uploaded_file

pytestmark = pytest.mark.asyncio


@pytest.fixture
async def artifacts(database_url: str) -> AsyncIterator[Artifacts]:
    """Without a grace period."""
    async with running_artifacts(MemoryLog(), database_url, MemoryStore()) as running:
        yield running


async def objects(artifacts: Artifacts) -> set[str]:
    return {blob.key async for blob in artifacts.store.list("blobs/")}


async def test_bytes_that_no_file_has_are_removed(artifacts: Artifacts) -> None:
    kept = await artifacts.put("kept", b"1")
    await artifacts.put_many({"a/x": b"22", "a/y": b"22", "b": b"333"})
    await artifacts.delete("a/x")
    assert (await artifacts.collect()).blobs == 0
    await artifacts.delete("a/y")
    await artifacts.put("b", b"1")
    would = await artifacts.collect(dry_run=True)
    assert (would.blobs, would.bytes, would.removed) == (2, 5, 0)
    done = await artifacts.collect()
    # With the object of "b": its bytes were stored already.
    assert (done.blobs, done.bytes, done.removed) == (2, 5, 3)
    assert await objects(artifacts) == {kept.object_key}
    assert await artifacts.collect() == artifact_pb2.CollectResponse()
    found = await artifacts.files.FindBlobs(
        artifact_pb2.FindBlobsRequest(digests=[digest_of(b"22"), digest_of(b"1")])
    )
    assert [blob.digest for blob in found.blobs] == [digest_of(b"1")]


async def test_within_the_grace_period_nothing_goes(database_url: str) -> None:
    store = MemoryStore()
    async with running_artifacts(MemoryLog(), database_url, store, grace_s=3600) as artifacts:
        await artifacts.put("a", b"1")
        await artifacts.delete("a")
        await store.put("blobs/" + "0" * 32, b"of an upload that was cut off")
        await artifacts.files.StartUpload(artifact_pb2.StartUploadRequest(path="b", parts=2))
        assert await artifacts.collect() == artifact_pb2.CollectResponse()
        assert len(await objects(artifacts)) == 2
        # Bytes that are wanted again are not uploaded again.
        await artifacts.put("b", b"1")
        assert await artifacts.read("b") == b"1"


async def test_objects_that_nothing_names_are_swept(artifacts: Artifacts) -> None:
    file = await uploaded_file(artifacts.store, "late", b"took longer than the grace period")
    assert (await artifacts.collect(dry_run=True)).strays == 1
    done = await artifacts.collect()
    assert (done.strays, done.removed) == (1, 1)
    assert await objects(artifacts) == set()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await artifacts.storage.PutStoredFiles(artifact_pb2.PutFilesRequest(files=[file]))
    assert caught.value.code() == grpc.StatusCode.FAILED_PRECONDITION
    assert error_from_rpc(caught.value).field == "files[0].object_key"
    assert await artifacts.listed() == []
    # It comes after all, by a request that was on its way for long.
    await artifacts.store.put(file.object_key, b"again")
    assert (await artifacts.collect()).strays == 1
    assert await objects(artifacts) == set()


async def test_uploads_that_nobody_ends_are_given_up(artifacts: Artifacts) -> None:
    upload = await artifacts.files.StartUpload(artifact_pb2.StartUploadRequest(path="a", parts=0))
    unknown = await artifacts.store.begin_upload("blobs/" + "0" * 32)
    done = await artifacts.collect()
    assert (done.uploads, done.removed) == (1, 1)
    assert [one async for one in artifacts.store.list_uploads("blobs/")] == []
    assert unknown
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await artifacts.files.CompleteUpload(artifact_pb2.CompleteUploadRequest(upload_id=upload.upload_id))
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND


async def test_what_a_collector_left_undone_is_done_by_the_next(artifacts: Artifacts) -> None:
    await artifacts.put("a", b"1")
    await artifacts.delete("a")
    event = GarbageCollected(digests=[bytes.fromhex(digest_of(b"1"))])
    await artifacts.log.append(draft(COLLECTIONS_SUBJECT, wrap(event, Cause("killed"), aggregate="")))
    assert len(await objects(artifacts)) == 1
    assert (await artifacts.collect()).removed == 1
    assert await objects(artifacts) == set()


async def test_a_file_put_after_a_collection_was_decided_keeps_its_bytes(artifacts: Artifacts) -> None:
    """The event that takes bytes away lies behind the one that needs them."""
    await artifacts.put("a", b"1")
    await artifacts.delete("a")
    put = artifact_pb2.PutFilesRequest(files=[artifact_pb2.File(path="b", digest=digest_of(b"1"), size=1)])
    await artifacts.files.PutFiles(put)
    event = GarbageCollected(digests=[bytes.fromhex(digest_of(b"1"))])
    await artifacts.log.append(draft(COLLECTIONS_SUBJECT, wrap(event, Cause("late"), aggregate="")))
    assert (await artifacts.collect()).removed == 0
    assert await artifacts.read("b") == b"1"


class SulkyStore(MemoryStore):
    """Refuses to list, for as long as it is told to."""

    refusing = True

    async def list(self, prefix: str, after: str = "") -> AsyncIterator[Blob]:
        if self.refusing:
            raise FailedPrecondition("the keys are not accepted")
        async for blob in super().list(prefix, after):
            yield blob


async def test_rounds_go_on_whatever_is_wrong_with_the_store(database_url: str) -> None:
    store = SulkyStore()
    async with running_artifacts(MemoryLog(), database_url, store) as artifacts:
        await artifacts.put("a", b"1")
        await store.put("blobs/" + "0" * 32, b"a stray")
        await artifacts.delete("a")
        async with FreshReads(artifacts.log, artifacts.pool) as fresh:
            reads = Reads(artifacts.pool, fresh, deadline_s=10)
            collector = Collector(Journal(artifacts.log, reads), reads, store, grace_s=0)
            async with beside(collector.run(0.01, 3600)):
                await until(lambda: has_collected(artifacts))
                store.refusing = False
                await until(lambda: is_empty(store))


async def has_collected(artifacts: Artifacts) -> bool:
    return bool(await artifacts.log.read(STREAM, COLLECTIONS_SUBJECT))


async def is_empty(store: MemoryStore) -> bool:
    return not store.blobs


async def test_of_a_race_of_puts_deletes_and_collections_no_listed_file_loses_its_bytes(
    artifacts: Artifacts,
) -> None:
    """Few bytes under few paths, so that all get in each other's way."""
    texts = [b"1", b"22", b"333"]
    generator = random.Random(7)
    ending = asyncio.Event()
    put = refused = 0

    async def write(writer: int) -> None:
        nonlocal put, refused
        for _ in range(60):
            path, data = f"{generator.randrange(5)}", generator.choice(texts)
            try:
                match generator.randrange(4):
                    case 0:
                        await artifacts.delete(path)
                    case 1:
                        file = artifact_pb2.File(path=path, digest=digest_of(data), size=len(data))
                        await artifacts.files.PutFiles(artifact_pb2.PutFilesRequest(files=[file]))
                        put += 1
                    case _:
                        await artifacts.put(path, data)
                        put += 1
            except grpc.aio.AioRpcError as error:
                # Bytes that were gone meanwhile.
                if error_from_rpc(error).field not in ("files[0].digest", "files[0].object_key"):
                    raise
                refused += 1

    async def collect() -> None:
        while not ending.is_set():
            await artifacts.collect()

    async def collect_late() -> None:
        """What a collector says that was held up since it looked: that nobody has any of the bytes."""
        event = GarbageCollected(digests=[bytes.fromhex(digest_of(text)) for text in texts])
        while not ending.is_set():
            await artifacts.log.append(draft(COLLECTIONS_SUBJECT, wrap(event, Cause("late"), aggregate="")))
            await asyncio.sleep(0.01)

    async def read() -> None:
        while not ending.is_set():
            await check_listed(artifacts)

    beside = [asyncio.create_task(work) for work in (collect(), collect(), collect_late(), read())]
    await asyncio.gather(*(write(writer) for writer in range(8)))
    ending.set()
    await asyncio.gather(*beside)
    await check_listed(artifacts)
    assert put > 100 and refused > 0
    await artifacts.collect()
    referenced = {
        (await artifacts.files.GetFile(artifact_pb2.GetFileRequest(path=path))).object_key
        for path in await artifacts.listed()
    }
    assert await objects(artifacts) == referenced
    assert await artifacts.log.last_position(STREAM) > 0


async def check_listed(artifacts: Artifacts) -> None:
    """Every file that is listed can be read, unless it is another by the time it is read."""
    for entry in (await artifacts.files.ListFiles(artifact_pb2.ListFilesRequest())).entries:
        blobs = {blob.key async for blob in artifacts.store.list(entry.file.object_key)}
        if not blobs:
            now = await artifacts.files.ListFiles(artifact_pb2.ListFilesRequest())
            assert entry not in now.entries, f"the bytes of {entry.file} are gone"
