"""Points that are in the archive only, on the real stack: shown, replayed, and forgotten by a reset."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psutil
import pytest

import rekam
from rekam.testing import LocalStack
from tests.support.archiver import ArchiverProcess
from tests.support.faults import Faults
from tests.support.stack import rekam as rekam_command
from tests.support.stack import until

STREAM = "REKAM_POINTS_0"


@contextmanager
def eager_archiver(stack: LocalStack) -> Iterator[None]:
    """A second archiver of the stack's, that waits for nothing: points go as soon as they are archived."""
    own = psutil.Process(Faults(stack).pids()["archive"]).environ()
    environ = {name: own[name] for name in own if name.startswith(("REKAM_NATS", "REKAM_S3"))}
    age = {"REKAM_ARCHIVE_POINTS_S": "0.5", "REKAM_ARCHIVE_CONTROL_S": "0.5", "REKAM_POINTS_KEPT_HOURS": "0"}
    archiver = ArchiverProcess({**environ, **age})
    try:
        yield
    finally:
        assert archiver.end() == 0


def shown(stack: LocalStack) -> dict[str, dict[str, Any]]:
    """What `rekam log archive` says of each stream."""
    done = rekam_command("log", "archive", "--json", "--uri", stack.tracking_uri)
    assert done.returncode == 0, done.stderr
    return {stream["name"]: stream for stream in json.loads(done.stdout)["streams"]}


def emptied(stream: dict[str, Any] | None) -> bool:
    """Whether it had records, and has none now; the archive may not have looked at it yet."""
    if stream is None:
        return False
    first, last = int(stream["first"]), int(stream["last"])
    return first == last + 1 > 1


def logged(client: rekam.Client, points: int) -> str:
    run_id = client.create_run("0").info.run_id
    for step in range(points):
        client.log_metric(run_id, "loss", step / 7, step=step, timestamp=step)
    client.flush()
    return run_id


def history(client: rekam.Client, run_id: str) -> list[tuple[int, float]]:
    return [(metric.step, metric.value) for metric in client.get_metric_history(run_id, "loss")]


def test_points_outlive_the_stream_and_a_rebuild_but_no_reset(rekam_clean: LocalStack) -> None:
    stack = rekam_clean
    client = rekam.Client(stack.tracking_uri)
    first = logged(client, 300)
    with eager_archiver(stack):
        until("all points are in the archive only", lambda: emptied(shown(stack).get(STREAM)), 60)
    second = logged(client, 200)
    expected = {first: history(client, first), second: history(client, second)}
    assert [len(points) for points in expected.values()] == [300, 200]

    done = rekam_command("log", "rebuild", "tracking", "--uri", stack.tracking_uri)
    assert done.returncode == 0, done.stderr
    assert {run_id: history(client, run_id) for run_id in expected} == expected

    assert rekam_command("reset", "--yes", "--tracking-uri", stack.tracking_uri).returncode == 0
    client = rekam.Client(stack.tracking_uri)
    third = logged(client, 100)
    done = rekam_command("log", "rebuild", "tracking", "--uri", stack.tracking_uri)
    assert done.returncode == 0, "what was emptied is no hole: " + done.stderr
    assert len(history(client, third)) == 100
    with pytest.raises(rekam.errors.NotFound):
        history(client, first)
