"""Stacks under soak, and the report that they add to."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from rekam.testing import LocalStack, running_stack
from tests.soak.report import Row, keep
from tests.support.faults import Faults
from tests.support.fleet import Fleet, logging_fleet
from tests.support.log_audit import frames_in_the_log
from tests.support.memory import watched_memory

SHAPES = {
    "one of each": (),
    "two of each": ("--replicas", "2"),
    "two of each, three NATS": ("--replicas", "2", "--nats-nodes", "3"),
}


@dataclass
class Soak:
    """A fleet that logs, and the longest that it took until it had caught up."""

    stack: LocalStack
    faults: Faults
    fleet: Fleet
    behind_s: float = 0.0

    def catch_up(self) -> None:
        self.behind_s = max(self.behind_s, self.fleet.caught_up(180))


@dataclass
class Soaking:
    """Makes soaks of one stack."""

    stack: LocalStack
    shape: str
    folder: Path
    rows: list[Row]

    @contextmanager
    def of(self, title: str, *, pause_s: float = 0.004) -> Iterator[Soak]:
        """Clients log while the block runs; then every point is compared, and a row reported."""
        faults = Faults(self.stack)
        faults.all_ready()
        with watched_memory(faults) as memory:
            with logging_fleet(self.stack, self.folder, pause_s=pause_s) as fleet:
                fleet.caught_up()
                soak = Soak(self.stack, faults, fleet)
                yield soak
                soak.catch_up()
            points = fleet.check()
        frames = asyncio.run(frames_in_the_log(faults))
        twice = f"{frames.again} of {frames.stored} frames"
        self.rows.append(Row(f"{self.shape}: {title}", points, soak.behind_s, twice, memory.greatest))


@pytest.fixture(scope="session")
def rows(pytestconfig: pytest.Config) -> Iterator[list[Row]]:
    passed: list[Row] = []
    yield passed
    if passed:
        reporter = pytestconfig.pluginmanager.get_plugin("terminalreporter")
        assert reporter is not None
        reporter.write_line("\n" + keep(passed))


@pytest.fixture(scope="session", params=SHAPES)
def shaped(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[LocalStack, str]]:
    shape: str = request.param
    with running_stack(tmp_path_factory.mktemp("soak"), arguments=SHAPES[shape]) as running:
        yield running, shape


@pytest.fixture
def soaking(shaped: tuple[LocalStack, str], tmp_path: Path, rows: list[Row]) -> Soaking:
    stack, shape = shaped
    # What the soaks before logged would be compared again with every one.
    stack.reset()
    return Soaking(stack, shape, tmp_path, rows)
