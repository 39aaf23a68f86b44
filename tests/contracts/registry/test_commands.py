"""What the log decides when many write at once: the same on JetStream and its in-memory twin."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable

import pytest

from rekam_proto.event.v1.envelope_pb2 import Origin
from rekam_proto.registry.v1 import model_pb2, read_pb2, version_pb2
from rekam_proto.registry.v1.read_pb2 import By
from rekam_registry import events
from rekam_registry.aliases import command as aliases
from rekam_registry.errors import Stale
from rekam_registry.ledger import Ledger
from rekam_registry.models import command as models
from rekam_registry.state import ModelState
from rekam_registry.versions import command as versions
from rekam_runtime.errors import AlreadyExists, NotFound, Refused
from rekam_runtime.eventlog.envelope import Cause
from rekam_runtime.eventlog.jetstream import JetStreamLog
from rekam_runtime.eventlog.memory import MemoryLog
from rekam_runtime.eventlog.port import EventLog
from tests.support.nats import NatsServer

BY = By(actor="ada", reason="a test")
CAUSE = Cause(BY.actor, BY.reason)
_MB = 1024 * 1024


@pytest.fixture(params=["memory", "jetstream"])
async def log(request: pytest.FixtureRequest, nats: NatsServer) -> AsyncIterator[EventLog]:
    opened: EventLog = MemoryLog() if request.param == "memory" else await JetStreamLog.connect(nats.url, "t")
    await opened.ensure(events.control_stream())
    await opened.purge(events.STREAM)
    yield opened
    await opened.close()


def replicas(log: EventLog, count: int) -> list[Ledger]:
    return [Ledger(log, max_weight=_MB) for _ in range(count)]


async def create(ledger: Ledger, name: str, cause: Cause = CAUSE) -> model_pb2.RegisteredModel:
    return await ledger.create(name, lambda id: model_pb2.ModelCreated(model_id=id, name=name), cause)


async def register(ledger: Ledger, name: str, cause: Cause = CAUSE) -> int:
    content = version_pb2.VersionCreated(source="s3://b/m", location="s3://b/m")
    return await ledger.change(
        name,
        lambda state: versions.create(state, content, cause.writer),
        lambda state, event: (
            event.version if isinstance(event, version_pb2.VersionCreated) else state.creators[cause.writer]
        ),
        cause,
    )


async def rename(ledger: Ledger, name: str, new_name: str, cause: Cause = CAUSE) -> model_pb2.RegisteredModel:
    return await ledger.rename(name, new_name, lambda state: models.rename(state, new_name, BY), cause)


async def delete(ledger: Ledger, name: str, cause: Cause = CAUSE) -> None:
    await ledger.delete(name, lambda state: models.delete(state, BY), cause)


async def look(ledger: Ledger, name: str) -> model_pb2.RegisteredModel:
    return await ledger.look(name, ModelState.describe)


async def outcomes(*attempts: Awaitable[object]) -> list[object]:
    """What each answers, or how it is refused."""
    found = await asyncio.gather(*attempts, return_exceptions=True)
    for one in found:
        if isinstance(one, BaseException) and not isinstance(one, Refused):
            raise one
    return list(found)


async def test_a_hundred_registrations_at_once_have_numbers_without_gaps(log: EventLog) -> None:
    ledgers = replicas(log, 4)
    await create(ledgers[0], "m")
    numbers = await asyncio.gather(*(register(ledgers[n % 4], "m") for n in range(100)))
    assert sorted(numbers) == list(range(1, 101))


async def test_numbers_are_never_given_again(log: EventLog) -> None:
    one, other = replicas(log, 2)
    await create(one, "m")
    assert [await register(one, "m"), await register(other, "m")] == [1, 2]
    await one.change("m", lambda state: versions.delete(state, 2, BY), lambda state, event: None, CAUSE)
    assert await register(other, "m") == 3
    await delete(other, "m")
    with pytest.raises(NotFound):
        await register(one, "m")
    await create(one, "m")
    assert await register(other, "m") == 1


async def test_of_many_who_create_one_name_one_creates_it(log: EventLog) -> None:
    ledgers = replicas(log, 4)
    found = await outcomes(*(create(ledgers[n % 4], "m") for n in range(20)))
    assert [type(one) for one in found].count(AlreadyExists) == 19


async def test_a_rename_and_a_creation_never_share_a_name(log: EventLog) -> None:
    one, other, third = replicas(log, 3)
    for number in range(20):
        old, new = f"a{number}", f"b{number}"
        await create(one, old)
        found = await outcomes(rename(other, old, new), create(third, new), create(one, new))
        assert sum(isinstance(each, model_pb2.RegisteredModel) for each in found) == 1
        assert (await look(one, new)).name == new
        renamed = isinstance(found[0], model_pb2.RegisteredModel)
        still = await outcomes(look(third, old))
        assert isinstance(still[0], NotFound) == renamed


async def test_two_who_swap_names_do_not_lose_one(log: EventLog) -> None:
    one, other = replicas(log, 2)
    ids = {name: (await create(one, name)).model_id for name in ("a", "b")}
    await outcomes(
        rename(one, "a", "c"), rename(other, "b", "c"), rename(one, "a", "b"), rename(other, "b", "a")
    )
    found = await outcomes(*(look(one, name) for name in ("a", "b", "c")))
    there = [each for each in found if isinstance(each, model_pb2.RegisteredModel)]
    assert {each.model_id for each in there} == set(ids.values())


async def test_a_name_that_goes_to_another_model_leads_there_on_every_replica(log: EventLog) -> None:
    one, other = replicas(log, 2)
    first = await create(one, "m")
    assert await register(one, "m") == await register(other, "m") - 1
    await rename(other, "m", "old")
    second = await create(other, "m")
    assert await register(one, "m") == 1
    assert (await look(one, "m")).model_id == second.model_id
    assert (await look(one, "old")).model_id == first.model_id
    assert await register(one, "old") == 3


async def test_requests_sent_again_are_answered_like_the_first_time(log: EventLog) -> None:
    one, other = replicas(log, 2)

    def again(writer: str) -> Cause:
        return Cause("ada", origin=Origin(writer=writer, sequence=1))

    made = await create(one, "m", again("w1"))
    assert await create(other, "m", again("w1")) == made
    with pytest.raises(AlreadyExists):
        await create(other, "m", again("w2"))
    assert [await register(one, "m", again("w3")), await register(other, "m", again("w3"))] == [1, 1]
    moved = await rename(one, "m", "n", again("w4"))
    assert await rename(other, "m", "n", again("w4")) == moved
    await delete(one, "n", again("w5"))
    await delete(other, "n", again("w5"))
    with pytest.raises(NotFound):
        await delete(other, "n", again("w6"))


async def test_of_two_who_expect_the_same_one_is_told_that_it_is_stale(log: EventLog) -> None:
    one, other = replicas(log, 2)
    await create(one, "m")
    for _ in range(3):
        await register(one, "m")

    def point(ledger: Ledger, version: int, expected: int) -> Awaitable[None]:
        return ledger.change(
            "m",
            lambda state: aliases.set_alias(state, "a", version, expected=expected, by=BY),
            lambda state, event: None,
            CAUSE,
        )

    await point(one, 1, 0)
    found = await outcomes(point(one, 2, 1), point(other, 3, 1))
    assert sorted(type(each).__name__ for each in found) == ["NoneType", Stale.__name__]


async def test_folded_models_are_forgotten_beyond_the_bound_and_read_again(log: EventLog) -> None:
    ledger = Ledger(log, max_weight=1)
    for name in ("a", "b", "c"):
        await create(ledger, name)
    for name in ("a", "b", "c", "a"):
        await register(ledger, name)
    assert [version.version for version in (await look(ledger, "a")).latest_versions] == [2]


async def test_times_grow_with_positions_whatever_the_clock_says(log: EventLog) -> None:
    ledger = Ledger(log, max_weight=_MB)
    model = await create(ledger, "m")
    await asyncio.gather(*(register(ledger, "m") for _ in range(20)))
    records = await log.read(events.STREAM, events.model_subject(model.model_id))
    times = [events.decode(record)[0].time_us for record in records]
    assert times == sorted(set(times))


async def test_every_event_has_its_author_and_reason(log: EventLog) -> None:
    ledger = Ledger(log, max_weight=_MB)
    await create(ledger, "m")
    await register(ledger, "m")
    await ledger.change(
        "m",
        lambda state: versions.transition(
            state, 1, read_pb2.STAGE_STAGING, archive_existing=True, expected=0, by=BY
        ),
        lambda state, event: None,
        CAUSE,
    )
    await rename(ledger, "m", "n")
    await delete(ledger, "n")
    for record in await log.read(events.STREAM, ">"):
        envelope, _ = events.decode(record)
        assert (envelope.actor, envelope.reason) == ("ada", "a test")
