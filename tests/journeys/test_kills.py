"""Processes killed while clients log: every acknowledged point once, and no client sees an error."""

from __future__ import annotations

from pathlib import Path

from rekam.testing import LocalStack
from tests.support.faults import Faults
from tests.support.fleet import logging_fleet
from tests.support.memory import watched_memory

VICTIMS = ("gateway", "tracking-serve", "tracking-project", "nats", "postgres", "seaweed", "archive")
PAIRS = (("gateway", "nats"), ("tracking-project", "postgres"), ("tracking-serve", "nats"))


def test_each_killed_in_turn_and_two_at_once(mortal_stack: LocalStack, tmp_path: Path) -> None:
    mortal_stack.reset()
    faults = Faults(mortal_stack)
    with watched_memory(faults), logging_fleet(mortal_stack, tmp_path) as fleet:
        fleet.caught_up()
        for names in (*((name,) for name in VICTIMS), *PAIRS):
            before = faults.pids()
            faults.kill(*names)
            faults.all_ready({name: before[name] for name in names})
            fleet.caught_up()
    assert fleet.check() > 0
