"""Recall: when it has returned, no keeper remembers; with one that cannot be reached it takes its time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from rekam_runtime.eventlog.jetstream import JetStreamLog
from rekam_runtime.eventlog.memory import MemoryLog
from rekam_runtime.eventlog.port import EventLog
from rekam_runtime.eventlog.recall import KEPT_S, Keeper, Recaller
from tests.support.nats import running_nats


@pytest.fixture(scope="module")
def recall_nats() -> object:
    with running_nats() as server:
        yield server


@pytest.fixture(params=["memory", "jetstream"])
async def open_log(
    request: pytest.FixtureRequest,
) -> AsyncIterator[Callable[[], EventLog]]:
    """Logs of several processes."""
    if request.param == "memory":
        shared = MemoryLog()
        yield lambda: shared
        return
    server = request.getfixturevalue("recall_nats")
    opened = [await JetStreamLog.connect(server.url, "recall tests") for _ in range(3)]
    logs = iter(opened)
    yield lambda: next(logs)
    for log in opened:
        await log.close()


async def eventually(check: Callable[[], bool]) -> None:
    deadline = asyncio.get_running_loop().time() + 20
    while not check():
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.02)


async def test_when_a_recall_returns_every_keeper_has_forgotten(open_log: Callable[[], EventLog]) -> None:
    forgotten: list[tuple[int, str]] = []
    keepers = [
        Keeper(open_log(), lambda name, number=number: forgotten.append((number, name)))  # type: ignore[misc]
        for number in range(2)
    ]
    running = [asyncio.create_task(keeper.run()) for keeper in keepers]
    async with Recaller(open_log()) as recaller:
        await eventually(lambda: all(keeper.known for keeper in keepers))
        for number in range(20):
            await recaller.recall(f"run/{number}")
            assert {(keeper, f"run/{number}") for keeper in range(2)} <= set(forgotten)
    for task in running:
        task.cancel()


async def test_a_keeper_that_says_nothing_is_waited_for_as_long_as_it_may_remember() -> None:
    log, loop = MemoryLog(), asyncio.get_running_loop()
    keeper = Keeper(log, lambda _: None)
    running = asyncio.create_task(keeper.run())
    async with Recaller(log) as recaller:
        await eventually(lambda: keeper.known)
        await recaller.recall("run/1")
        running.cancel()
        await asyncio.wait([running])
        began = loop.time()
        await recaller.recall("run/2")
        assert loop.time() - began >= KEPT_S


async def test_where_nobody_remembers_nothing_is_waited_for() -> None:
    async with Recaller(MemoryLog()) as recaller:
        await asyncio.wait_for(recaller.recall("run/1"), KEPT_S)


async def test_a_keeper_is_known_only_when_it_listens() -> None:
    keeper = Keeper(MemoryLog(), lambda _: None)
    assert not keeper.known
    running = asyncio.create_task(keeper.run())
    await eventually(lambda: keeper.known)
    running.cancel()
