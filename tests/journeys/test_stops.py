"""SIGTERM under load: drained, exit status 0; nothing lost, nothing sent again."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from rekam.testing import LocalStack, running_stack
from tests.support.faults import Faults
from tests.support.fleet import logging_fleet
from tests.support.log_audit import frames_in_the_log
from tests.support.stack import until

# Postgres waits for its clients to leave when it is sent SIGTERM.
SIGNALS = {
    "gateway": signal.SIGTERM,
    "tracking-serve": signal.SIGTERM,
    "tracking-project": signal.SIGTERM,
    "nats": signal.SIGTERM,
    "postgres": signal.SIGINT,
    "seaweed": signal.SIGTERM,
}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    with running_stack(tmp_path_factory.mktemp("stopped")) as running:
        yield running


def test_each_process_stopped_in_turn(stack: LocalStack, tmp_path: Path) -> None:
    faults = Faults(stack)
    with logging_fleet(stack, tmp_path) as fleet:
        fleet.caught_up()
        for name, number in SIGNALS.items():
            before = faults.pids()
            faults.send(number, name)
            until(f"{name} has ended well", lambda ended=f"{name} died (exit code 0)": ended in stack.said)  # type: ignore[misc]
            fleet.caught_up()
            faults.all_ready({name: before[name]})
    assert fleet.check() > 0
    frames = asyncio.run(frames_in_the_log(faults))
    assert frames.stored > 0
    assert frames.again == 0
