"""A watcher's inbox at its bound."""

from __future__ import annotations

import asyncio

import pytest

from rekam_proto.registry.v1 import history_pb2, watch_pb2
from rekam_registry.watching.filter import Filter
from rekam_registry.watching.hub import MOST_WAITING, Hub
from rekam_runtime.errors import Retry

ALL = Filter.of(watch_pb2.WatchRequest())


def change(position: int, name: str = "m") -> history_pb2.Change:
    return history_pb2.Change(position=position, name=name)


async def test_a_full_inbox_keeps_nothing_and_says_so() -> None:
    hub = Hub()
    with hub.opened(ALL, 0) as inbox:
        for position in range(1, MOST_WAITING + 2):
            hub.take(change(position))
        assert inbox.overflown
        assert await inbox.next(0.01) is None
        hub.take(change(MOST_WAITING + 2))
        assert await inbox.next(0.01) is None
        inbox.reopen(MOST_WAITING + 2)
        hub.take(change(MOST_WAITING + 3))
        following = await inbox.next(1)
        assert following is not None and following.position == MOST_WAITING + 3


async def test_what_fits_is_handed_out_in_order() -> None:
    hub = Hub()
    with hub.opened(ALL, 0) as inbox:
        for position in range(1, MOST_WAITING + 1):
            hub.take(change(position))
        taken = [await inbox.next(0.01) for _ in range(MOST_WAITING)]
        assert [one.position for one in taken if one is not None] == list(range(1, MOST_WAITING + 1))
        assert not inbox.overflown


async def test_what_a_watcher_does_not_watch_takes_no_room() -> None:
    hub = Hub()
    with hub.opened(Filter.of(watch_pb2.WatchRequest(names=["a"])), 0) as inbox:
        for position in range(1, 2 * MOST_WAITING):
            hub.take(change(position, "b"))
        assert not inbox.overflown


async def test_a_closed_hub_refuses_those_who_wait_and_those_to_come() -> None:
    hub = Hub()
    with hub.opened(ALL, 0) as inbox:
        hub.close(Retry("stops"))
        with pytest.raises(Retry):
            await inbox.next(1)
    with pytest.raises(Retry), hub.opened(ALL, 0):
        pass


async def test_what_arrives_when_the_wait_is_over_is_handed_out() -> None:
    hub = Hub()
    with hub.opened(ALL, 0) as inbox:
        waiting = asyncio.create_task(inbox.next(0))
        # It waits, and its time is up: that is all it is told before the change is there.
        await asyncio.sleep(0)
        hub.take(change(1))
        told = await waiting
        assert told is not None and told.position == 1
