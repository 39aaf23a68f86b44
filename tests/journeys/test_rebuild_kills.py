"""A rebuild while clients log, with every process that it needs killed in the middle of it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

import rekam
from rekam.calls.log import Log
from rekam.testing import LocalStack, running_stack
from rekam_proto.log.v1 import log_pb2
from tests.support.faults import Faults
from tests.support.fleet import KEYS, logging_fleet
from tests.support.stack import until

VICTIMS = (
    ("tracking-project",),
    ("tracking-project-2",),
    ("tracking-project", "tracking-project-2"),
    ("tracking-serve", "tracking-serve-2"),
    ("postgres",),
    ("nats",),
)
ENDED_S = 120.0


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    with running_stack(tmp_path_factory.mktemp("rebuilt"), arguments=("--replicas", "2")) as running:
        yield running


def ended(log: Log) -> log_pb2.Rebuild:
    def has() -> log_pb2.Rebuild | None:
        now = log.rebuild()
        return now if now.ended_us else None

    return until("the rebuild has ended", has, ENDED_S)


def fill(stack: LocalStack) -> None:
    """As much as keeps a rebuild busy for a while."""
    rekam.set_tracking_uri(stack.tracking_uri)
    with rekam.start_run() as run:
        for step in range(10_000):
            run.log_metrics({f"layer{n}/norm": step * 0.37 + n for n in range(100)}, step=step)
    rekam.flush()


def test_whatever_is_killed_it_ends_with_every_point_once(stack: LocalStack, tmp_path: Path) -> None:
    fill(stack)
    faults, log = Faults(stack), Log(stack.tracking_uri, "tracking")
    with logging_fleet(stack, tmp_path) as fleet:
        fleet.caught_up()
        for names in VICTIMS:
            started = log.start_rebuild()
            until("it has begun", lambda: log.rebuild().records > 0, ENDED_S)
            before = faults.pids()
            faults.kill(*names)
            faults.all_ready({name: before[name] for name in names})
            now = ended(log)
            assert (now.id, now.state) == (started.id, log_pb2.REBUILD_STATE_DONE), now
            fleet.caught_up()
    assert fleet.check() > 0


def test_a_replica_that_hangs_is_replaced_and_does_no_harm_when_it_wakes(
    stack: LocalStack, tmp_path: Path
) -> None:
    faults, client = Faults(stack), rekam.Client(stack.tracking_uri)
    with logging_fleet(stack, tmp_path) as fleet:
        fleet.caught_up()
        for name in ("tracking-project", "tracking-project-2"):
            faults.send(signal.SIGSTOP, name)
            try:
                fleet.caught_up()
                # A strong read waits for the projection: the other one has taken over.
                assert len(client.get_history(fleet.loggers[0].run_id, KEYS[0]).steps)
            finally:
                faults.send(signal.SIGCONT, name)
            fleet.caught_up()
    assert fleet.check() > 0
