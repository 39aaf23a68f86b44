"""Every event of artifacts ever stored, replayed by the real projection: from a log, a stored segment."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from rekam_artifacts import control, events
from rekam_runtime.archive.segment import check_whole, read_records
from rekam_runtime.eventlog.port import Record
from rekam_runtime.postgres import Pool, acquire, connect_pool, migrate
from tests.golden.story import records, segment_file

pytestmark = pytest.mark.asyncio
STREAM = events.STREAM


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    await migrate(database_url, "rekam_artifacts")
    opened = await connect_pool(database_url, application_name="golden replay")
    yield opened
    await opened.close()


def from_segment(version: int) -> list[Record]:
    """What the stored segment has, and what came after it."""
    data = segment_file(STREAM, version).read_bytes()
    index = check_whole("golden", data)
    told = [each for block in index.blocks for each in read_records("golden", block, block.part_of(data))]
    return [*told, *records(STREAM)[index.last :]]


@pytest.mark.parametrize("told", [records(STREAM), from_segment(1)], ids=["log", "segment v1"])
@pytest.mark.parametrize("at_once", [1, 100])
async def test_the_story_becomes_the_rows_that_it_always_became(
    pool: Pool, told: list[Record], at_once: int
) -> None:
    async def rows(query: str) -> list[tuple[Any, ...]]:
        async with acquire(pool) as connection:
            return [tuple(row) for row in await connection.fetch(query)]

    digest = bytes(range(1, 33))
    for start in range(0, len(told), at_once):
        async with acquire(pool) as connection, connection.transaction():
            await control.PART.apply(connection, told[start : start + at_once])
    run = "3f2a9c0d1e4b5a6978879605a4b3c2d1"
    assert await rows(
        "SELECT folder, name, digest, media_type, owner, updated_us FROM entries ORDER BY 1, 2"
    ) == [
        ("", "1", None, "", None, 0),
        ("1/", run, None, "", None, 0),
        (f"1/{run}/", "artifacts", None, "", None, 0),
        (f"1/{run}/artifacts/", "again.png", digest, "", run, 1_700_000_000_000_001),
    ]
    assert await rows("SELECT * FROM blobs") == [
        (digest, "blobs/00112233445566778899aabbccddeeff", 2**40, None)
    ]
    assert await rows("SELECT * FROM taken_objects") == [("blobs/00112233445566778899aabbccddee00", "", True)]
    assert await rows("SELECT count(*) FROM uploads") == [(0,)]
    assert await rows("SELECT count(*) FROM refusals") == [(0,)]
    assert await rows("SELECT run_id, path, digest FROM uses") == [
        (run, f"1/{run}/artifacts/again.png", digest)
    ]
