"""NATS or Postgres gone for a while, or both, while clients log."""

from __future__ import annotations

from pathlib import Path

import pytest

from rekam.testing import LocalStack
from tests.support.faults import Faults
from tests.support.fleet import logging_fleet
from tests.support.stack import until


def test_acknowledged_without_postgres(mortal_stack: LocalStack, tmp_path: Path) -> None:
    faults = Faults(mortal_stack)
    with logging_fleet(mortal_stack, tmp_path) as fleet:
        fleet.caught_up()
        with faults.gone("postgres"):
            # What an acknowledgement promises is the log's.
            fleet.caught_up()
            fleet.caught_up()
        faults.all_ready()
    assert fleet.check() > 0


@pytest.mark.parametrize("names", [("nats",), ("nats", "postgres")], ids="+".join)
def test_logging_goes_on_without_the_log(
    mortal_stack: LocalStack, tmp_path: Path, names: tuple[str, ...]
) -> None:
    faults = Faults(mortal_stack)
    with logging_fleet(mortal_stack, tmp_path) as fleet:
        fleet.caught_up()
        with faults.gone(*names):
            spooled = fleet.spooled()
            until("the spools have grown", lambda: fleet.spooled() > spooled + 2_000_000)
        fleet.caught_up()
        faults.all_ready()
    assert fleet.check() > 0
