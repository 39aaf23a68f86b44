"""What waits to be delivered, on a real Postgres: what is added, in which order, and never too much."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from uuid import UUID

import pytest
from google.protobuf.message import Message

from rekam_proto.registry.v1 import alias_pb2, model_pb2, version_pb2, webhook_pb2
from rekam_proto.tracking.v1.read_pb2 import Tag
from rekam_registry import control
from rekam_registry.events import STREAM
from rekam_registry.timelines import FOREVER
from rekam_registry.webhooks.pairs import action_name, entity_name
from rekam_registry.webhooks.queue import Queue, Waiting
from rekam_runtime.errors import Retry
from rekam_runtime.eventlog.envelope import Cause, wrap
from rekam_runtime.eventlog.port import Record
from rekam_runtime.postgres import Pool, connect_pool, migrate

HOOK, OTHER = UUID(int=1), UUID(int=2)
MODEL, SECOND = UUID(int=11), UUID(int=12)
CREATED = webhook_pb2.WEBHOOK_ACTION_CREATED
VERSIONS = webhook_pb2.WebhookEvent(entity=webhook_pb2.WEBHOOK_ENTITY_MODEL_VERSION, action=CREATED)
PROMPTS = webhook_pb2.WebhookEvent(entity=webhook_pb2.WEBHOOK_ENTITY_PROMPT_VERSION, action=CREATED)
TAGS = webhook_pb2.WebhookEvent(
    entity=webhook_pb2.WEBHOOK_ENTITY_MODEL_VERSION_TAG, action=webhook_pb2.WEBHOOK_ACTION_SET
)


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    await migrate(database_url, "rekam_registry")
    opened = await connect_pool(database_url, max_size=4, application_name="registry tests")
    yield opened
    await opened.close()


class Story:
    """Events as they are projected, one after another."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self.position = 0

    async def tell(self, *events: Message) -> None:
        records = []
        for event in events:
            self.position += 1
            envelope = wrap(event, Cause("ada"), aggregate="x", time_us=1_000_000 + self.position)
            records.append(Record(self.position, "rekam.registry.x", envelope.SerializeToString()))
        async with self._pool.acquire() as connection, connection.transaction():
            await control.PART.apply(connection, records)
            await connection.execute(
                "UPDATE projection_position SET position = $2 WHERE stream = $1", STREAM, self.position
            )

    async def set_aside(self) -> None:
        self.position += 1
        async with self._pool.acquire() as connection:
            await connection.execute(
                "INSERT INTO quarantine (stream, position, subject, reason, data)"
                " VALUES ($1, $2, '', '', '')",
                STREAM,
                self.position,
            )

    async def project(self, event: Message, position: int) -> None:
        """One that was set aside."""
        envelope = wrap(event, Cause("ada"), aggregate="x", time_us=1_000_000 + position)
        record = Record(position, "rekam.registry.x", envelope.SerializeToString())
        async with self._pool.acquire() as connection, connection.transaction():
            await control.PART.apply(connection, [record])
            await connection.execute("DELETE FROM quarantine WHERE position = $1", position)

    async def hook(self, *events: webhook_pb2.WebhookEvent, webhook_id: UUID = HOOK) -> None:
        await self.tell(
            webhook_pb2.WebhookCreated(
                webhook_id=webhook_id.hex,
                url="https://a.example/",
                events=events or [VERSIONS],
                status=webhook_pb2.WEBHOOK_STATUS_ACTIVE,
            )
        )

    async def model(self, model_id: UUID = MODEL, tags: Sequence[Tag] = ()) -> None:
        await self.tell(model_pb2.ModelCreated(model_id=model_id.hex, name=model_id.hex, tags=tags))

    async def versions(self, *numbers: int, model_id: UUID = MODEL) -> None:
        await self.tell(
            *(
                version_pb2.VersionCreated(model_id=model_id.hex, name=model_id.hex, version=number)
                for number in numbers
            )
        )


@pytest.fixture
def story(pool: Pool) -> Story:
    return Story(pool)


async def queue_of(pool: Pool, *, log_end: int = 0, **bounds: int) -> Queue:
    queue = Queue(pool, **bounds)
    await queue.begin(log_end)
    return queue


async def waiting(queue: Queue, webhook_id: UUID = HOOK) -> list[int]:
    """Positions of what waits, in the order in which it was added."""
    found = await queue.page(webhook_id, False, FOREVER, 1_000)
    return [delivery.position for _, delivery in reversed(found)]


async def heads(queue: Queue, webhook_id: UUID = HOOK) -> list[Waiting]:
    return await queue.heads(webhook_id, [], 100)


async def test_what_happens_after_its_creation_is_told_once(pool: Pool, story: Story) -> None:
    queue = await queue_of(pool)
    await story.model()
    await story.versions(1)
    await story.hook()
    await story.versions(2, 3)
    await queue.fill()
    assert await waiting(queue) == [4, 5]
    await queue.fill()
    assert await waiting(queue) == [4, 5]
    await story.hook(webhook_id=OTHER)
    await story.versions(4)
    await queue.fill()
    assert (await waiting(queue), await waiting(queue, OTHER)) == ([4, 5, 7], [7])
    (head,) = await heads(queue)
    assert head.occurrence is not None
    assert head.occurrence.data["version"] == "2"


async def test_what_was_there_before_this_database_is_not_told(pool: Pool, story: Story) -> None:
    await story.hook()
    await story.model()
    await story.versions(1, 2)
    queue = await queue_of(pool, log_end=3)
    await queue.begin(99)  # once in the life of a database
    await queue.fill()
    assert await waiting(queue) == [4]


async def test_the_first_of_each_model_is_a_head(pool: Pool, story: Story) -> None:
    queue = await queue_of(pool)
    await story.hook()
    for model_id in (MODEL, SECOND):
        await story.model(model_id)
        await story.versions(1, 2, model_id=model_id)
    await queue.fill()
    assert await waiting(queue) == [3, 4, 6, 7]
    first, second = await heads(queue)
    assert (first.model_id, second.model_id) == (MODEL, SECOND)
    assert [head.model_id for head in await queue.heads(HOOK, [MODEL], 100)] == [SECOND]
    await queue.failed(HOOK, first.number, again_in_s=3_600, status=500, error="x")
    # It stays the first of its model, and others come before it.
    later = await heads(queue)
    assert [head.number for head in later] == [second.number, first.number]
    assert (later[1].attempts, later[1].due_in_s > 3_000) == (1, True)
    await queue.delivered(first.number)
    assert {head.number for head in await heads(queue)} == {first.number + 1, second.number}


async def test_too_much_waits_in_the_log(pool: Pool, story: Story) -> None:
    queue = await queue_of(pool, most_waiting=3)
    await story.hook()
    await story.hook(webhook_id=OTHER)
    await story.model()
    await story.versions(*range(1, 9))
    await queue.fill()
    assert await waiting(queue) == [4, 5, 6]
    for _ in range(2):
        (head,) = await heads(queue)
        await queue.delivered(head.number)
    await queue.fill()
    assert await waiting(queue) == [6, 7, 8]
    # The other one was not told meanwhile what it was told already.
    assert await waiting(queue, OTHER) == [4, 5, 6]
    told = [6, 7, 8]
    while found := await heads(queue):
        await queue.delivered(found[0].number)
        await queue.fill()
        told = sorted({*told, *await waiting(queue)})
    assert told == [6, 7, 8, 9, 10, 11]
    assert await queue.to_tell() == {OTHER}


async def test_an_event_that_means_more_than_there_is_room_for_is_told_whole(
    pool: Pool, story: Story
) -> None:
    queue = await queue_of(pool, most_waiting=3)
    await story.hook(TAGS)
    await story.model()
    await story.versions(1)
    tags = [Tag(key=f"k{number}") for number in range(5)]
    for _ in range(2):
        await story.tell(version_pb2.VersionTagsSet(model_id=MODEL.hex, version=1, tags=tags))
    await queue.fill()
    assert await waiting(queue) == [4] * 5
    keys = []
    for _ in range(5):
        (head,) = await heads(queue)
        assert head.occurrence is not None
        keys.append(head.occurrence.data["key"])
        await queue.delivered(head.number)
    assert keys == [tag.key for tag in tags]
    await queue.fill()
    assert await waiting(queue) == [5] * 5


async def test_the_newest_dead_are_kept(pool: Pool, story: Story) -> None:
    queue = await queue_of(pool, most_dead=2)
    await story.hook()
    await story.model()
    await story.versions(1, 2, 3)
    await queue.fill()
    for _ in range(3):
        (head,) = await heads(queue)
        await queue.failed(HOOK, head.number, again_in_s=None, status=404, error="e" * 5_000)
    assert (await waiting(queue), await queue.counts()) == ([], (0, 2))
    dead = [delivery for _, delivery in await queue.page(HOOK, True, FOREVER, 10)]
    assert [delivery.position for delivery in dead] == [5, 4]
    assert (dead[0].last_status, dead[0].attempts, len(dead[0].last_error)) == (404, 1, 500)
    assert await queue.redeliver(HOOK, [UUID(dead[0].delivery_id)]) == 1
    assert await waiting(queue) == [5]
    assert await queue.redeliver(HOOK, []) == 1
    # In the order of the log again.
    assert [head.attempts for head in await heads(queue)] == [0]
    assert await waiting(queue) == [4, 5]


async def test_a_webhook_is_told_by_what_it_was_when_it_happened(pool: Pool, story: Story) -> None:
    queue = await queue_of(pool)
    await story.hook()
    await story.model()
    await story.versions(1)
    off = webhook_pb2.WebhookUpdated(
        webhook_id=HOOK.hex, events=[VERSIONS], status=webhook_pb2.WEBHOOK_STATUS_DISABLED
    )
    await story.tell(off)
    await story.versions(2)
    on = webhook_pb2.WebhookUpdated(
        webhook_id=HOOK.hex, events=[PROMPTS], status=webhook_pb2.WEBHOOK_STATUS_ACTIVE
    )
    await story.tell(on)
    await story.versions(3)
    await queue.fill()
    assert await waiting(queue) == [3]
    await story.tell(off)
    await queue.fill()
    # What waited before goes on waiting.
    assert (await waiting(queue), await heads(queue)) == ([3], [])
    await story.tell(webhook_pb2.WebhookDeleted(webhook_id=HOOK.hex))
    await queue.fill()
    assert await waiting(queue) == []
    assert await queue.to_tell() == set()


async def test_whether_a_model_is_a_prompt_is_asked_as_of_the_event(pool: Pool, story: Story) -> None:
    queue = await queue_of(pool)
    await story.hook(VERSIONS, PROMPTS)
    await story.model()
    await story.versions(1)
    tag = Tag(key="mlflow.prompt.is_prompt", value="True")
    await story.tell(model_pb2.ModelTagsSet(model_id=MODEL.hex, tags=[tag]))
    await story.versions(2)
    await story.tell(model_pb2.ModelTagsDeleted(model_id=MODEL.hex, keys=[tag.key]))
    await story.versions(3)
    await story.tell(alias_pb2.AliasSet(model_id=MODEL.hex, alias="a", version=3))
    await queue.fill()
    found = [delivery for _, delivery in await queue.page(HOOK, None, FOREVER, 10)]
    told = {each.position: (entity_name(each.event.entity), action_name(each.event.action)) for each in found}
    assert told == {
        3: ("model_version", "created"),
        5: ("prompt_version", "created"),
        7: ("model_version", "created"),
    }


async def test_what_was_set_aside_is_told_when_it_is_read_after_all(pool: Pool, story: Story) -> None:
    queue = await queue_of(pool)
    await story.hook()
    await story.model()
    await story.model(SECOND)
    await story.set_aside()
    await story.versions(1)
    await queue.fill()
    assert await waiting(queue) == [5]
    # Not subscribed when it happened.
    await story.hook(webhook_id=OTHER)
    late = version_pb2.VersionCreated(model_id=SECOND.hex, name=SECOND.hex, version=1)
    await story.project(late, position=4)
    for _ in range(2):
        await queue.fill()
    assert (await waiting(queue), await waiting(queue, OTHER)) == ([5, 4], [])


async def test_two_who_fill_at_once_add_nothing_twice(pool: Pool, story: Story) -> None:
    queue = await queue_of(pool)
    await story.hook()
    await story.model()
    await story.versions(*range(1, 400))
    filled = await asyncio.gather(*(queue.fill() for _ in range(4)), return_exceptions=True)
    assert all(result is None or isinstance(result, Retry) for result in filled), filled
    await queue.fill()
    assert await waiting(queue) == list(range(3, 402))


async def test_an_event_that_a_rebuild_has_set_aside_is_given_up(pool: Pool, story: Story) -> None:
    queue = await queue_of(pool)
    await story.hook()
    await story.model()
    await story.versions(1)
    await queue.fill()
    await pool.execute("DELETE FROM changes WHERE position = 3")
    (head,) = await heads(queue)
    assert head.occurrence is None
