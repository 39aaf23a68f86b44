"""Processes killed while clients log: every acknowledged point once, and no client sees an error."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rekam.testing import LocalStack, running_stack
from tests.support.faults import Faults
from tests.support.fleet import logging_fleet
from tests.support.memory import watched_memory

VICTIMS = ("gateway", "tracking-serve", "tracking-project", "nats", "postgres", "seaweed", "archive")
PAIRS = (("gateway", "nats"), ("tracking-project", "postgres"), ("tracking-serve", "nats"))


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """A stack of its own: what is killed here restarts later and later."""
    with running_stack(tmp_path_factory.mktemp("killed")) as running:
        yield running


def test_each_process_killed_one_after_the_other_and_two_at_once(stack: LocalStack, tmp_path: Path) -> None:
    faults = Faults(stack)
    with watched_memory(faults), logging_fleet(stack, tmp_path) as fleet:
        fleet.caught_up()
        for names in (*((name,) for name in VICTIMS), *PAIRS):
            before = faults.pids()
            faults.kill(*names)
            faults.all_ready({name: before[name] for name in names})
            fleet.caught_up()
    assert fleet.check() > 0
