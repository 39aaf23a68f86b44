"""A log on three servers: its leader dies, or is cut off; nothing is lost, nothing doubled."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from pathlib import Path

from rekam.testing import LocalStack
from tests.support.faults import Faults
from tests.support.fleet import logging_fleet
from tests.support.log_audit import leader_of, opened

POINTS = "REKAM_POINTS_0"
NODES = ("nats", "nats-2", "nats-3")


def test_the_leader_killed(replicated_stack: LocalStack, tmp_path: Path) -> None:
    faults = Faults(replicated_stack)
    with logging_fleet(replicated_stack, tmp_path) as fleet:
        fleet.caught_up()
        before = faults.pids()
        leader = asyncio.run(leader_of(faults, POINTS))
        faults.kill(leader)
        fleet.caught_up()
        faults.all_ready({leader: before[leader]})
    assert fleet.check() > 0


def test_the_leader_cut_off(replicated_stack: LocalStack, tmp_path: Path) -> None:
    faults = Faults(replicated_stack)
    with logging_fleet(replicated_stack, tmp_path) as fleet:
        fleet.caught_up()
        leader = asyncio.run(leader_of(faults, POINTS))
        with faults.frozen(leader):
            fleet.caught_up()
            assert asyncio.run(leader_of(faults, POINTS)) != leader
        # It goes on where it stood still, and learns that it leads no longer.
        faults.all_ready()
        fleet.caught_up()
    assert fleet.check() > 0


async def test_a_leader_that_is_cut_off_does_not_say_where_the_log_ends(replicated_stack: LocalStack) -> None:
    faults = Faults(replicated_stack)
    leader = await leader_of(faults, POINTS)
    async with opened(faults, leader) as log:
        assert await log.last_position(POINTS) >= 0
        with faults.frozen(*(name for name in NODES if name != leader)):
            # It goes on answering for 15 s; after 4 s the others may have elected another.
            began = last_answer = time.monotonic()
            while time.monotonic() < last_answer + 1.0:
                with suppress(TimeoutError):
                    async with asyncio.timeout(0.5):
                        await log.last_position(POINTS)
                        last_answer = time.monotonic()
                assert time.monotonic() < began + 8.0, "it still answers"
    faults.all_ready()
