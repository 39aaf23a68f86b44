"""SIGTERM under load: drained, exit status 0; nothing lost, nothing sent again."""

from __future__ import annotations

import asyncio
import signal
from functools import partial
from pathlib import Path

from rekam.testing import LocalStack
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


def test_each_process_stopped_in_turn(mortal_stack: LocalStack, tmp_path: Path) -> None:
    mortal_stack.reset()
    faults = Faults(mortal_stack)
    with logging_fleet(mortal_stack, tmp_path) as fleet:
        fleet.caught_up()
        for name, number in SIGNALS.items():
            before = faults.pids()
            faults.send(number, name)
            until(f"{name} has ended well", partial(_has_ended_well, mortal_stack, name))
            fleet.caught_up()
            faults.all_ready({name: before[name]})
    assert fleet.check() > 0
    frames = asyncio.run(frames_in_the_log(faults))
    assert frames.stored > 0
    assert frames.again == 0


def _has_ended_well(stack: LocalStack, name: str) -> bool:
    return f"{name} died (exit code 0)" in stack.said
