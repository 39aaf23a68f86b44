"""The kill tests at full length: a minute of logging each, on every shape of stack."""

from __future__ import annotations

import asyncio
import itertools
import random
import signal
import subprocess
import time
from collections.abc import Sequence

import pytest

from tests.soak.conftest import Soak, Soaking
from tests.support.log_audit import leader_of
from tests.support.stack import REKAM, until

MINUTE_S = 60.0
PARTS = ("gateway", "tracking-serve", "tracking-project", "nats", "postgres", "seaweed", "archive")
POINTS = "REKAM_POINTS_0"


def test_each_killed(soaking: Soaking) -> None:
    with soaking.of("each killed in turn") as soak:
        _kill_for_a_minute(soak, [(name,) for name in _parts(soak)])


def test_two_killed_at_once(soaking: Soaking) -> None:
    with soaking.of("two killed at once") as soak:
        pairs = list(itertools.combinations(_parts(soak), 2))
        random.shuffle(pairs)
        _kill_for_a_minute(soak, pairs[:15])


@pytest.mark.parametrize("part", ["nats", "postgres", "both"])
def test_gone_for_a_minute(soaking: Soaking, part: str) -> None:
    with soaking.of(f"{part} gone for a minute") as soak:
        kinds = ("nats", "postgres") if part == "both" else (part,)
        with soak.faults.gone(*(name for name in _parts(soak) if name.startswith(kinds))):
            time.sleep(MINUTE_S)
        soak.catch_up()
        soak.faults.all_ready()


def test_each_stopped(soaking: Soaking) -> None:
    with soaking.of("each stopped by SIGTERM, at random moments") as soak:
        ends = time.monotonic() + MINUTE_S
        for turn, name in enumerate(itertools.cycle(_parts(soak))):
            if turn >= len(_parts(soak)) and time.monotonic() > ends:
                break
            time.sleep(random.random())
            before, ended = soak.faults.pids(), f"{name} died (exit code 0)"
            times = soak.stack.said.count(ended)
            soak.faults.send(signal.SIGINT if name == "postgres" else signal.SIGTERM, name)
            until(f"{name} has ended well", lambda e=ended, n=times: soak.stack.said.count(e) > n)  # type: ignore[misc]
            soak.catch_up()
            soak.faults.all_ready({name: before[name]})


def test_the_leader_killed_and_cut_off(soaking: Soaking) -> None:
    if soaking.shape != "two of each, three NATS":
        pytest.skip("one server of the log has nobody to take over")
    with soaking.of("leader of the log killed, three times") as soak:
        for _ in range(3):
            before, leader = soak.faults.pids(), asyncio.run(leader_of(soak.faults, POINTS))
            soak.faults.kill(leader)
            soak.catch_up()
            soak.faults.all_ready({leader: before[leader]})
    soaking.folder = soaking.folder / "cut-off"
    with soaking.of("leader of the log frozen, three times") as soak:
        for _ in range(3):
            with soak.faults.frozen(asyncio.run(leader_of(soak.faults, POINTS))):
                soak.catch_up()
            soak.catch_up()
            soak.faults.all_ready()


def test_verify_beside_kills(soaking: Soaking) -> None:
    with soaking.of("`rekam verify` beside kills") as soak:
        command = [REKAM, "verify", "--uri", soak.stack.tracking_uri, "--duration", "70"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as verify:
            _kill_for_a_minute(soak, [(name,) for name in _parts(soak)])
            told, _ = verify.communicate(timeout=300)
        # Nothing missing, doubled or wrong.
        assert verify.returncode == 0, told


def _parts(soak: Soak) -> list[str]:
    """Every process that is killed, replicas too."""
    return [name for name in soak.faults.pids() if name.startswith(PARTS)]


def _kill_for_a_minute(soak: Soak, groups: Sequence[tuple[str, ...]]) -> None:
    """One group after the other, and again, until a minute is over and all have had their turn."""
    ends = time.monotonic() + MINUTE_S
    for turn, names in enumerate(itertools.cycle(groups)):
        if turn >= len(groups) and time.monotonic() > ends:
            break
        before = soak.faults.pids()
        soak.faults.kill(*names)
        soak.catch_up()
        soak.faults.all_ready({name: before[name] for name in names})
