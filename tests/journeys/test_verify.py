"""`rekam verify` on the real stack: what is well is found well, and what is not is named."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

import rekam
from rekam.testing import LocalStack
from rekam.verifying.doors import DOORS
from rekam.verifying.plan import LINE_EVERY, STEP_TAG, STREAM, Plan
from rekam.verifying.written import Written
from tests.support.faults import Faults
from tests.support.ports import free_port
from tests.support.programs import Program
from tests.support.stack import until

STEPS = 300
PLAN = Plan(seed=11, keys=("verify/0", "verify/1"), begin_us=time.time_ns() // 1000)

# What the verifier's own writer does, once and in another process.
_WRITE = f"""
from rekam.verifying.plan import Plan
plan = Plan(*json.loads(os.environ["PLAN"]))
steps = int(os.environ["STEPS"])
with rekam.start_run(log_system_metrics=False, capture_console=False) as run:
    run.log_params(plan.params)
    for step in range(steps):
        run.log_metrics(plan.row(step), step=step, time_us=plan.time_us(step))
        if step % {LINE_EVERY} == 0:
            assert run.log_lines("{STREAM}", [plan.time_us(step)], [plan.line(step // {LINE_EVERY})])
    run.set_tags({{"{STEP_TAG}": steps}})
print(run.run_id, run.writer)
"""


class Verify(Program):
    """The command, as a program of its own."""

    def __init__(self, uri: str, spool: Path, *arguments: str) -> None:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("REKAM_")}
        command = [sys.executable, "-c", "from rekam.cli import main; main()", "verify", "--uri", uri]
        self.process = subprocess.Popen(
            [*command, "--json", "--listen", "127.0.0.1:0", *arguments],
            env={**clean, "REKAM_SPOOL_DIR": str(spool)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stderr is not None
        self._url = self.process.stderr.readline().split()[-1]

    def exported(self, name: str) -> float:
        """Sum of a metric over its labels, as Prometheus would see it."""
        with urllib.request.urlopen(self._url, timeout=60) as answer:
            lines = answer.read().decode().splitlines()
        return sum(float(line.split()[-1]) for line in lines if re.match(rf"rekam_verify_{name}[ {{]", line))


@pytest.fixture
def written(rekam_tracking_uri: str, tmp_path: Path) -> Written:
    """A run that is written as planned."""
    out, _ = Program(
        rekam_tracking_uri,
        tmp_path,
        _WRITE,
        PLAN=json.dumps([PLAN.seed, PLAN.keys, PLAN.begin_us]),
        STEPS=str(STEPS),
    ).finish()
    run_id, writer = out.split()
    return Written(run_id, PLAN, writer, written=STEPS, acknowledged=STEPS, ended=True)


def test_every_door_sees_what_is_well_and_what_is_not(written: Written, rekam_tracking_uri: str) -> None:
    client = rekam.Client(rekam_tracking_uri)

    def differences() -> dict[str, tuple[int, int, int]]:
        found = {name: door(client, "0", written) for name, door in DOORS.items()}
        return {name: (each.missing, each.doubled, each.wrong) for name, each in found.items()}

    assert set(differences().values()) == {(0, 0, 0)}
    assert all(door(client, "0", written).read for door in DOORS.values())

    # An acknowledgement of what never came.
    written.acknowledged = written.written = STEPS + 50
    assert all(missing for missing, _, _ in differences().values())

    # More than was written.
    written.acknowledged = written.written = STEPS - 50
    assert all(doubled or wrong for _, doubled, wrong in differences().values())

    # Another's numbers: wherever values are read, they are wrong.
    written.acknowledged = written.written = STEPS
    written.plan = Plan(PLAN.seed + 1, PLAN.keys, PLAN.begin_us)
    found = differences()
    for name in ("run", "history", "stream", "buckets", "text"):
        assert found[name][2], name
    assert found["search"][0], "nothing has that seed"


def test_points_of_somebody_else_are_noticed(written: Written, rekam_tracking_uri: str) -> None:
    client = rekam.Client(rekam_tracking_uri)
    client.log_metric(written.run_id, PLAN.keys[0], 0.5, step=7)
    client.flush()
    found = {name: door(client, "0", written) for name, door in DOORS.items()}
    assert {name for name, each in found.items() if each.doubled} == {
        "stream", "buckets", "metrics", "completeness",
    }  # fmt: skip
    assert found["completeness"].wrong == 1
    assert not found["history"], "of one writer"


def test_the_command_finds_all_well(rekam_tracking_uri: str, tmp_path: Path) -> None:
    verify = Verify(rekam_tracking_uri, tmp_path, "--duration", "8", "--steps", "10", "--keep", "2")
    until("it has read something", lambda: verify.exported("read_total"))
    assert verify.exported("acknowledged_total") > 0
    out, _ = verify.finish(180)
    summary = json.loads(out)
    assert summary["clean"], summary
    assert summary["points_written"] == summary["points_acknowledged"] > 0
    assert set(summary["read"]) >= set(DOORS)
    assert summary["runs"] >= 3
    assert summary["errors"] == []
    assert summary["fresh"]["count"] > len(DOORS)
    # Old runs are deleted.
    client = rekam.Client(rekam_tracking_uri)
    experiment = client.get_experiment_by_name("rekam verify")
    assert experiment is not None
    left = client.search_runs([experiment.experiment_id])
    assert 2 <= len(left) < summary["runs"] + 1
    assert all(run.info.status == "FINISHED" for run in left)


def test_what_shows_late_is_late_and_what_never_shows_is_missing(
    rekam_tracking_uri: str, tmp_path: Path
) -> None:
    """Doors that do not show what is there, at first or ever."""
    out, _ = Program(
        rekam_tracking_uri,
        tmp_path,
        """
        import threading
        from collections import Counter
        from rekam.verifying import Options, Verifier
        from rekam.verifying.doors import DOORS

        asked = Counter()

        def late(run, found):
            asked[run.run_id] += 1
            if asked[run.run_id] <= 2:
                found.miss(1, "not yet")

        def never(run, found):
            found.miss(1, "never")

        def counts(lies, seconds):
            stop = threading.Event()

            def door(client, experiment_id, run):
                found = DOORS["metrics"](client, experiment_id, run)
                lies(run, found)
                if run.done:
                    stop.set()
                return found

            options = Options(rekam.get_tracking_uri(), runs=1, steps=50, late=seconds)
            report = Verifier(options, {"lying": door}).run(stop)
            return report.missing.total() > 0, report.late.total() > 0, report.clean

        print(json.dumps([counts(late, 60.0), counts(never, 0.5)]))
        """,
    ).finish()
    assert json.loads(out) == [[False, True, True], [True, True, False]]


def test_outages_are_waited_for_and_counted(rekam_clean: LocalStack, tmp_path: Path) -> None:
    faults = Faults(rekam_clean)
    verify = Verify(rekam_clean.tracking_uri, tmp_path, "--steps", "100")
    until("it has read something", lambda: verify.exported("read_total"))
    before = faults.pids()
    with faults.gone("gateway", "tracking-project"):
        until("it sees the outage", lambda: verify.exported("server_away"))
    faults.all_ready({name: before[name] for name in ("gateway", "tracking-project")})
    verify.process.terminate()
    out, _ = verify.finish(180)
    summary = json.loads(out)
    assert summary["clean"], summary
    assert summary["outages"] >= 1
    assert summary["outage_seconds"] > 0
    assert summary["points_written"] == summary["points_acknowledged"]


def test_without_a_server_it_says_so(tmp_path: Path) -> None:
    verify = Verify(f"grpc://127.0.0.1:{free_port()}", tmp_path)
    _, err = verify.process.communicate(timeout=60)
    assert verify.process.returncode == 3
    assert "rekam up" in err
