"""Every event ever stored, replayed by the real projection: in one batch and one by one, live and rebuilt."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import UUID

import pytest

from rekam_proto.registry.v1 import history_pb2, read_pb2, transition_pb2, webhook_pb2
from rekam_registry import control
from rekam_registry.events import STREAM
from rekam_runtime.postgres import Pool, connect_pool, migrate
from tests.golden.story import records

MODEL = UUID("3f2a9c0d1e4b5a6978879605a4b3c2d1")
STORY = records(STREAM)


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    await migrate(database_url, "rekam_registry")
    opened = await connect_pool(database_url, max_size=2, application_name="registry tests")
    yield opened
    await opened.close()


async def project(pool: Pool, batch: int) -> None:
    for start in range(0, len(STORY), batch):
        async with pool.acquire() as connection, connection.transaction():
            await control.PART.apply(connection, STORY[start : start + batch])


@pytest.mark.parametrize("batch", [1, 7, len(STORY)])
async def test_the_story_is_told_the_same_in_any_batches(pool: Pool, batch: int) -> None:
    await project(pool, batch)
    states = await pool.fetch(
        "SELECT name, description FROM model_states WHERE model_id = $1 ORDER BY from_position", MODEL
    )
    assert [tuple(row) for row in states][:3] == [
        ("Fraud", "finds fraud"),
        ("Fraud ☃", "finds fraud"),
        ("Fraud ☃", "finds more fraud"),
    ]
    stages = await pool.fetch(
        "SELECT version, stage, description FROM version_states ORDER BY version, from_position"
    )
    assert [tuple(row) for row in stages] == [
        (1, read_pb2.STAGE_NONE, "first"),
        (1, read_pb2.STAGE_NONE, "better"),
        (1, read_pb2.STAGE_PRODUCTION, "better"),
        (2, read_pb2.STAGE_NONE, "second"),
        (2, read_pb2.STAGE_ARCHIVED, "second"),
    ]
    tags = await pool.fetch("SELECT key, value FROM version_tags WHERE version = 1 ORDER BY from_position")
    assert [tuple(row) for row in tags] == [("team", "risk"), ("tier", "1")]
    aliases = await pool.fetch("SELECT alias, version FROM aliases")
    assert [tuple(row) for row in aliases] == [("champion", 1)]
    decided = await pool.fetch("SELECT request_id, state FROM transitions WHERE state > 1 ORDER BY 1")
    assert [tuple(row) for row in decided] == [
        (1, transition_pb2.TRANSITION_STATE_APPROVED),
        (2, transition_pb2.TRANSITION_STATE_APPROVED),
        (3, transition_pb2.TRANSITION_STATE_REJECTED),
    ]
    # The model is deleted: nothing is true any more.
    for table in ("model_states", "model_tags", "version_states", "version_tags", "aliases", "transitions"):
        assert await pool.fetchval(f"SELECT max(until_position) FROM {table}") <= len(STORY)


async def test_webhooks_are_kept_as_they_were(pool: Pool) -> None:
    await project(pool, 7)
    rows = await pool.fetch(
        "SELECT webhook, sealed_secret, from_position, until_position FROM webhook_states"
        " ORDER BY from_position"
    )
    told = [webhook_pb2.Webhook.FromString(row["webhook"]) for row in rows]
    assert [each.name for each in told] == ["fleet", "fleet.eu"]
    assert [row["sealed_secret"] for row in rows] == [b"gAAAAA-not-a-real-token", b"gAAAAA-another"]
    assert rows[0]["until_position"] == rows[1]["from_position"]
    assert rows[1]["until_position"] == len(STORY)


async def test_every_event_of_a_model_is_told(pool: Pool) -> None:
    await project(pool, len(STORY))
    rows = await pool.fetch("SELECT change FROM changes ORDER BY position")
    changes = [history_pb2.Change.FromString(row["change"]) for row in rows]
    assert {change.actor for change in changes} == {"golden"}
    assert {change.reason for change in changes} == {"golden reason"}
    kinds = {change.WhichOneof("event") for change in changes}
    assert kinds == {field.name for field in history_pb2.Change.DESCRIPTOR.oneofs_by_name["event"].fields}
