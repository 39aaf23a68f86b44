"""The archiver: what it stores and when, what it lets go, and what it never does."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import pytest

from rekam_archive.archiver import Archiver
from rekam_archive.cutting import CutRules
from rekam_archive.retention import Retention, RetentionRules
from rekam_proto.ingest.v1 import views_pb2
from rekam_runtime.archive import ArchivedLog
from rekam_runtime.archive.names import Catalogue, SegmentName
from rekam_runtime.archive.reading import load_index
from rekam_runtime.archive.segment import read_block
from rekam_runtime.blobs.memory import MemoryStore
from rekam_runtime.blobs.port import BlobStore
from rekam_runtime.eventlog.memory import MemoryLog
from rekam_runtime.eventlog.port import Draft, EventLog, StreamSpec
from tests.support.metrics import Row, SentFrame, record, stored

pytestmark = pytest.mark.asyncio
POINTS, CONTROL = "REKAM_POINTS_0", "REKAM_TRACKING"
NEVER_S = 1e6


@pytest.fixture
async def log() -> AsyncIterator[MemoryLog]:
    opened = MemoryLog()
    for stream in (POINTS, CONTROL):
        await opened.ensure(StreamSpec(stream, (f"{stream}.>",)))
    await opened.ensure(StreamSpec("ELSEWHERE", ("else.>",)))
    yield opened
    await opened.close()


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


async def append(log: EventLog, stream: str, count: int, size: int = 1000) -> None:
    for _ in range(count):
        await log.append(Draft(f"{stream}.a", bytes(size), uuid.uuid4().hex))


@asynccontextmanager
async def archiving(
    log: EventLog,
    store: BlobStore,
    *,
    max_bytes: int = 10_000,
    max_age_s: float = NEVER_S,
    kept_s: float = NEVER_S,
    kept_bytes: int = 1 << 40,
) -> AsyncIterator[Archiver]:
    """An archiver at work."""
    cut = CutRules(max_bytes, max_age_s)
    retention = Retention(log, store, RetentionRules(kept_s, kept_bytes))
    archiver = Archiver(log, store, retention, points=cut, control=cut, every_s=0.01)
    running = asyncio.create_task(archiver.run())
    try:
        yield archiver
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def until(what: str, holds: Callable[[], bool], deadline_s: float = 20.0) -> None:
    async with asyncio.timeout(deadline_s):
        while True:
            if holds():
                return
            await asyncio.sleep(0.01)


def archived(archiver: Archiver, stream: str) -> int:
    copier = archiver.copiers.get(stream)
    return copier.archived if copier else 0


def names(store: MemoryStore, stream: str) -> list[tuple[int, int]]:
    found = [SegmentName.parse(key) for key in sorted(store.blobs) if key.startswith(f"log/{stream}/")]
    return [(name.first, name.last) for name in found if name is not None]


async def first(log: EventLog, stream: str) -> int:
    """Position of the first record that the stream still has."""
    return (await log.extent(stream)).first


async def until_first(log: EventLog, stream: str, position: int) -> None:
    async with asyncio.timeout(20):
        while True:
            if await first(log, stream) == position:
                return
            await asyncio.sleep(0.01)


async def rounds(archiver: Archiver, count: int = 3) -> None:
    """Let it go round some times."""
    for _ in range(count):
        await archiver.forget()
        await until("a look at every stream", lambda: len(archiver.copiers) == 2)


# What is stored, and when.


async def test_segments_are_cut_by_size(log: MemoryLog, store: MemoryStore) -> None:
    await append(log, POINTS, 35)
    await append(log, CONTROL, 12)
    await append(log, "else", 3)
    async with archiving(log, store) as archiver:
        await until(
            "archived", lambda: archived(archiver, POINTS) == 30 and archived(archiver, CONTROL) == 10
        )
        await rounds(archiver)
    assert names(store, POINTS) == [(1, 10), (11, 20), (21, 30)]
    assert names(store, CONTROL) == [(1, 10)]
    assert names(store, "ELSEWHERE") == [], "streams that are not ours are left alone"


async def test_segments_are_cut_by_age(log: MemoryLog, store: MemoryStore) -> None:
    await append(log, POINTS, 3)
    async with archiving(log, store, max_age_s=0.2) as archiver:
        await until("archived", lambda: archived(archiver, POINTS) == 3)
        await append(log, POINTS, 2)
        await until("archived", lambda: archived(archiver, POINTS) == 5)
    assert names(store, POINTS)[0][0] == 1
    whole = ArchivedLog(log, store)
    before = [record async for record in log.scan(POINTS)]
    await log.drop(POINTS, 5)
    assert [record async for record in whole.scan(POINTS)] == before


async def test_another_archiver_goes_on_where_the_first_one_ended(log: MemoryLog, store: MemoryStore) -> None:
    for total in (20, 40):
        await append(log, POINTS, 20)
        async with archiving(log, store) as archiver:
            await until("archived", lambda total=total: archived(archiver, POINTS) == total)  # type: ignore[misc]
    assert names(store, POINTS) == [(1, 10), (11, 20), (21, 30), (31, 40)]


async def test_archivers_side_by_side_store_the_same(log: MemoryLog, store: MemoryStore) -> None:
    alone = MemoryStore()
    async with (
        archiving(log, store) as one,
        archiving(log, store) as other,
        archiving(log, alone) as third,
    ):
        for _ in range(10):
            await append(log, POINTS, 10, 900)
        everyone = (one, other, third)
        await until("archived", lambda: all(archived(each, POINTS) == 96 for each in everyone))
    assert store.blobs == alone.blobs


async def test_a_points_segment_can_be_read_alone(log: MemoryLog, store: MemoryStore) -> None:
    keys = [("loss", "accuracy"), ("rare",)]

    async def append_points(frames: Sequence[SentFrame], key_sets: Sequence[tuple[str, ...]] = ()) -> None:
        data = record(map(stored, frames), key_sets).data
        await log.append(Draft(f"{POINTS}.a", data, uuid.uuid4().hex))

    def frame(names: tuple[str, ...], sequence: int) -> SentFrame:
        row = Row(sequence, sequence, tuple(float(sequence) for _ in names))
        return SentFrame(uuid.UUID(int=1).hex, names, sequence, (row,) * 10)

    await append_points([], keys)
    await log.append(Draft(f"{POINTS}.a", b"\xff no envelope", uuid.uuid4().hex))
    for sequence in range(1, 101):
        await append_points([frame(keys[0], sequence)])
    await append_points([frame(keys[1], 101)])
    await append(log, POINTS, 3)
    # A second archiver, which remembers nothing of the announcement, makes the last segment.
    async with archiving(log, store, max_bytes=4000) as archiver:
        await until("most is archived", lambda: archived(archiver, POINTS) > 95)
    await append(log, POINTS, 10)
    async with archiving(log, store, max_bytes=4000) as archiver:
        await until("archived", lambda: archived(archiver, POINTS) >= 106)
    assert len(names(store, POINTS)) > 3
    told: list[set[tuple[str, ...]]] = []
    catalogue = Catalogue(store, POINTS, (await log.extent(POINTS)).log_id)
    await catalogue.refresh()
    for segment in catalogue.segments:
        context = (await load_index(store, segment)).context
        if context is None:
            told.append(set())
            continue
        data = read_block("", context, context.part_of(store.blobs[segment.name.key]))
        key_sets = [each.key_set for each in views_pb2.PointsAppendedView.FromString(data).records]
        told.append({tuple(key_set.keys) for key_set in key_sets})
    assert told[0] == set(keys), "what is announced"
    assert told[1] == {keys[0]}, "what is named"
    number = [segment.name.last >= 103 for segment in catalogue.segments].index(True)
    assert keys[1] in told[number], "what was announced long before"


# What may go.


async def test_points_that_are_archived_and_old_go(log: MemoryLog, store: MemoryStore) -> None:
    await append(log, POINTS, 35)
    await append(log, CONTROL, 35)
    async with archiving(log, store, kept_s=0) as archiver:
        await until_first(log, POINTS, 31)
        await rounds(archiver)
    assert await first(log, POINTS) == 31, "what is not archived stays"
    assert await first(log, CONTROL) == 1, "control events are never dropped"
    assert [each.position async for each in ArchivedLog(log, store).scan(POINTS)] == list(range(1, 36))


async def test_points_go_when_their_stream_is_too_large(log: MemoryLog, store: MemoryStore) -> None:
    await append(log, POINTS, 50)
    async with archiving(log, store, kept_bytes=25_000) as archiver:
        await until_first(log, POINTS, 31)
        await rounds(archiver)
    assert await first(log, POINTS) == 31


async def test_nothing_goes_that_is_not_archived(log: MemoryLog, store: MemoryStore) -> None:
    await append(log, POINTS, 9)
    async with archiving(log, store, kept_s=0, kept_bytes=0) as archiver:
        await until("a look", lambda: len(archiver.copiers) == 2)
        await rounds(archiver)
    assert await first(log, POINTS) == 1
    assert store.blobs == {}


async def test_young_points_stay(log: MemoryLog, store: MemoryStore) -> None:
    await append(log, POINTS, 30)
    async with archiving(log, store, kept_s=3600) as archiver:
        await until("archived", lambda: archived(archiver, POINTS) == 30)
        await rounds(archiver)
    assert await first(log, POINTS) == 1


@pytest.mark.parametrize("damage", ["bit", "cut", "gone"])
async def test_a_segment_that_is_not_what_was_written_is_stored_again_before_anything_goes(
    log: MemoryLog, store: MemoryStore, damage: str
) -> None:
    await append(log, POINTS, 30)
    before = [each async for each in log.scan(POINTS)]
    async with archiving(log, store) as archiver:
        await until("archived", lambda: archived(archiver, POINTS) == 30)
    key = sorted(store.blobs)[1]
    whole = store.blobs[key]
    if damage == "gone":
        del store.blobs[key]
    else:
        store.blobs[key] = whole[:-1] if damage == "cut" else bytes([*whole[:40], whole[40] ^ 1, *whole[41:]])
    async with archiving(log, store, kept_s=0):
        await until_first(log, POINTS, 31)
    assert store.blobs[key] == whole
    assert [each async for each in ArchivedLog(log, store).scan(POINTS)] == before


async def test_a_damaged_segment_whose_records_are_gone_already_stops_the_dropping(
    log: MemoryLog, store: MemoryStore
) -> None:
    await append(log, POINTS, 30)
    async with archiving(log, store) as archiver:
        await until("archived", lambda: archived(archiver, POINTS) == 30)
    await log.drop(POINTS, 5)
    key = sorted(store.blobs)[0]
    store.blobs[key] = damaged = store.blobs[key][:-1]
    async with archiving(log, store, kept_s=0) as archiver:
        await until("a look", lambda: len(archiver.copiers) == 2)
        await rounds(archiver)
    assert await first(log, POINTS) == 6
    assert store.blobs[key] == damaged, "what is left of it is not deleted"


# When the log is another.


async def test_a_log_that_was_emptied_is_archived_anew(log: MemoryLog, store: MemoryStore) -> None:
    await append(log, POINTS, 25)
    async with archiving(log, store, kept_s=0) as archiver:
        await until_first(log, POINTS, 21)
        await log.purge(POINTS)
        store.blobs.clear()
        await archiver.forget()
        await append(log, POINTS, 15)
        await until("archived", lambda: archived(archiver, POINTS) == 35)
    assert names(store, POINTS) == [(26, 35)]
    assert [each.position async for each in ArchivedLog(log, store).scan(POINTS)] == list(range(26, 41))


async def test_what_somebody_else_dropped_is_a_hole_and_the_rest_is_archived(
    log: MemoryLog, store: MemoryStore
) -> None:
    await append(log, POINTS, 30)
    await log.drop(POINTS, 5)
    async with archiving(log, store) as archiver:
        await until("archived", lambda: archived(archiver, POINTS) == 25)
    assert names(store, POINTS) == [(6, 15), (16, 25)]
