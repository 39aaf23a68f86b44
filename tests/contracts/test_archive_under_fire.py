"""The archiver's process on a real NATS and a real SeaweedFS that die, and it dies itself."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager

import httpx
import pytest

from rekam_runtime.archive import ArchivedLog
from rekam_runtime.archive.names import Catalogue, StoredSegment
from rekam_runtime.archive.segment import check_whole
from rekam_runtime.blobs.port import BlobStore
from rekam_runtime.blobs.s3 import S3Store
from rekam_runtime.eventlog.jetstream import JetStreamLog
from rekam_runtime.eventlog.port import Draft, EventLog, Extent, Record, StreamSpec
from tests.support.archiver import ArchiverProcess
from tests.support.nats import NatsServer
from tests.support.seaweed import SeaweedServer
from tests.support.stack import until
from tests.support.stalling import stalling_door

pytestmark = pytest.mark.asyncio
POINTS, CONTROL = "REKAM_POINTS_0", "REKAM_TRACKING"
_DEADLINE_S = 90.0
# Points go as soon as they may; a segment takes a moment to be sent.
EAGER = {
    "REKAM_ARCHIVE_POINTS_BYTES": "2000000",
    "REKAM_ARCHIVE_CONTROL_BYTES": "100000",
    "REKAM_POINTS_KEPT_HOURS": "0",
}
# Records of a quarter of a megabyte that do not compress: eight are a segment.
RECORDS, RECORD_BYTES, SEGMENT_RECORDS = 42, 250_000, 8
ARCHIVED = RECORDS // SEGMENT_RECORDS * SEGMENT_RECORDS


@pytest.fixture
async def log(mortal_nats_server: NatsServer) -> AsyncIterator[JetStreamLog]:
    """Filled with points, and some control events."""
    opened = await JetStreamLog.connect(mortal_nats_server.url, "test")
    generator = random.Random(1)
    for stream, count, size in ((POINTS, RECORDS, RECORD_BYTES), (CONTROL, 300, 1000)):
        await opened.ensure(StreamSpec(stream, (f"{stream}.>",)))
        for _ in range(count):
            await opened.append(Draft(f"{stream}.a", generator.randbytes(size), uuid.uuid4().hex))
    yield opened
    await opened.close()


@pytest.fixture
async def store(mortal_seaweed_server: SeaweedServer) -> AsyncIterator[S3Store]:
    opened = S3Store(mortal_seaweed_server.settings)
    yield opened
    await opened.close()


class Ground:
    """The two servers, and archivers that may be started on them."""

    def __init__(self, nats: NatsServer, seaweed: SeaweedServer) -> None:
        self.nats = nats
        self.seaweed = seaweed

    @contextmanager
    def archiver(self, **environ: str) -> Iterator[ArchiverProcess]:
        where = {"REKAM_NATS_URL": self.nats.url, **self.seaweed.environ}
        process = ArchiverProcess({**where, **EAGER, **environ})
        try:
            yield process
        finally:
            if process.process.poll() is None:
                process.kill()


@pytest.fixture
def ground(mortal_nats_server: NatsServer, mortal_seaweed_server: SeaweedServer) -> Ground:
    return Ground(mortal_nats_server, mortal_seaweed_server)


async def whole(log: EventLog, store: BlobStore, stream: str = POINTS) -> list[Record]:
    return [record async for record in ArchivedLog(log, store).scan(stream)]


async def segments(log: EventLog, store: BlobStore, stream: str = POINTS) -> list[StoredSegment]:
    """All segments of a stream, each read and checked, none left out."""
    folder = f"log/{stream}/{(await log.extent(stream)).log_id}/"
    keys = [blob.key async for blob in store.list(folder)]
    catalogue = Catalogue(store, stream, (await log.extent(stream)).log_id)
    await catalogue.refresh()
    assert [segment.name.key for segment in catalogue.segments] == keys, "none is double"
    for key in keys:
        check_whole(key, await store.get(key))
    return catalogue.segments


async def extent_when(
    log: EventLog, holds: Callable[[Extent], bool], stream: str = POINTS, deadline_s: float = _DEADLINE_S
) -> Extent:
    """The stream's extent as soon as that holds."""
    async with asyncio.timeout(deadline_s):
        while True:
            extent = await log.extent(stream)
            if holds(extent):
                return extent
            await asyncio.sleep(0.02)


async def ask(archiver: ArchiverProcess, path: str) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False) as client:
        return await client.get(f"{archiver.ops}/{path}")


async def all_dropped(log: EventLog) -> None:
    await extent_when(log, lambda extent: extent.first == ARCHIVED + 1)


async def stored(archiver: ArchiverProcess, segments: int) -> None:
    """Wait until it has stored so many."""
    await asyncio.to_thread(
        until, "segments", lambda: len(archiver.said("archive.stored")) >= segments, _DEADLINE_S
    )


async def test_an_archiver_that_is_killed_in_the_middle_of_an_upload_leaves_nothing_half(
    log: JetStreamLog, store: S3Store, ground: Ground
) -> None:
    before = await whole(log, store)
    for segments_before in range(3):
        # In the middle of the first segment's upload, then of the second's, then of the third's.
        lets_in = int((segments_before + 0.5) * SEGMENT_RECORDS * RECORD_BYTES)
        async with stalling_door(ground.seaweed.port, lets_in) as door:
            endpoint = f"http://127.0.0.1:{door.port}"
            # It drops nothing, and so reads nothing back.
            with ground.archiver(REKAM_S3_ENDPOINT=endpoint, REKAM_POINTS_KEPT_HOURS="24") as archiver:
                async with asyncio.timeout(_DEADLINE_S):
                    await door.stalled.wait()
                archiver.kill()
                points = [line for line in archiver.said("archive.stored") if line["stream"] == POINTS]
                assert len(points) == segments_before
    with ground.archiver():
        await all_dropped(log)
    assert await whole(log, store) == before
    names = [segment.name for segment in await segments(log, store)]
    ends = range(SEGMENT_RECORDS, ARCHIVED + 1, SEGMENT_RECORDS)
    assert [(name.first, name.last) for name in names] == [(end - SEGMENT_RECORDS + 1, end) for end in ends]
    assert len(await segments(log, store, CONTROL)) == 3


async def test_a_store_that_is_killed_in_the_middle_of_an_upload_has_whole_segments_only(
    log: JetStreamLog, store: S3Store, ground: Ground
) -> None:
    before = await whole(log, store)
    with ground.archiver() as archiver:
        for number in range(1, 4):
            await stored(archiver, number)
            await asyncio.to_thread(ground.seaweed.kill)
            await asyncio.to_thread(ground.seaweed.start)
        await all_dropped(log)
        assert archiver.end() == 0
    assert await whole(log, store) == before
    assert [segment.name.last for segment in await segments(log, store)][-1] == ARCHIVED


async def test_while_the_store_is_gone_nothing_is_dropped_and_then_it_goes_on(
    log: JetStreamLog, store: S3Store, ground: Ground
) -> None:
    before = await whole(log, store)
    await asyncio.to_thread(ground.seaweed.kill)
    with ground.archiver() as archiver:
        await asyncio.to_thread(until, "it waits", lambda: len(archiver.said("archive.waiting")) >= 3, 60)
        answer = await ask(archiver, "ready")
        assert answer.status_code == 503
        assert any("the archive waits" in missing for missing in answer.json()["missing"])
        assert (await log.extent(POINTS)).first == 1
        assert archiver.said("archive.dropped") == []
        await log.append(Draft(f"{POINTS}.a", b"while it is gone", uuid.uuid4().hex))
        await asyncio.to_thread(ground.seaweed.start)
        await all_dropped(log)
        figures = (await ask(archiver, "metrics")).text
    assert (await whole(log, store))[:RECORDS] == before
    assert f'rekam_archive_segments_total{{stream="{POINTS}"}} {ARCHIVED // SEGMENT_RECORDS}.0' in figures
    assert f'rekam_archive_lag_records{{stream="{POINTS}"}}' in figures
    assert "rekam_archive_waits_total" in figures


async def test_two_archivers_at_once_store_the_same_and_drop_what_both_have(
    log: JetStreamLog, store: S3Store, ground: Ground
) -> None:
    before = await whole(log, store)
    with ground.archiver() as one, ground.archiver() as other:
        await all_dropped(log)
        assert one.end() == other.end() == 0
    assert await whole(log, store) == before
    await segments(log, store)
    await segments(log, store, CONTROL)


async def test_a_log_that_is_killed_meanwhile_is_archived_all_the_same(
    log: JetStreamLog, store: S3Store, ground: Ground
) -> None:
    before = await whole(log, store)
    with ground.archiver() as archiver:
        await stored(archiver, 2)
        ground.nats.kill()
        await asyncio.to_thread(ground.nats.start)
        await all_dropped(log)
    assert await whole(log, store) == before


async def test_a_missing_bucket_ends_it_with_a_clear_error(log: JetStreamLog, ground: Ground) -> None:
    with ground.archiver(REKAM_S3_BUCKET="no-such-bucket") as archiver:
        assert await asyncio.to_thread(archiver.wait) == 1
        (failed,) = archiver.said("process.failed")
    assert "no-such-bucket" in failed["error"]
    assert (await log.extent(POINTS)).first == 1


async def test_wrong_keys_end_it_with_a_clear_error(log: JetStreamLog, ground: Ground) -> None:
    with ground.archiver(REKAM_S3_SECRET_KEY="wrong") as archiver:
        assert await asyncio.to_thread(archiver.wait) == 1
        (failed,) = archiver.said("process.failed")
    assert "SignatureDoesNotMatch" in failed["error"]
