"""`rekam up`, `status` and `reset`: a stack's life on the real parts."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent import futures
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import grpc
import pytest

import rekam
from rekam.testing import LocalStack, running_stack
from tests.support import stack as support


def _modes_above(data: Path) -> dict[Path, int]:
    parents = [*data.parents, *Path(rekam.__file__).parents, *Path(sys.executable).parents]
    return {parent: stat.S_IMODE(parent.stat().st_mode) for parent in parents}


@dataclass(frozen=True)
class Kept:
    """A stack with an experiment in it; it runs beside the session's.

    modes: of the directories above its own and above the programs, before it started.
    """

    stack: LocalStack
    pid: int
    data: Path
    experiment_id: str
    modes: dict[Path, int]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    # Only its owner may enter it, as with mktemp -d and many home directories.
    closed = tmp_path_factory.mktemp("closed")
    closed.chmod(0o700)
    data = closed / "data"
    modes = _modes_above(data)
    with running_stack(data) as stack:
        assert stack.pid is not None
        yield Kept(stack, stack.pid, data, rekam.Client(stack.tracking_uri).create_experiment("kept"), modes)


def test_two_stacks_side_by_side_share_nothing(kept: Kept, rekam_clean: LocalStack) -> None:
    assert rekam.Client(kept.stack.tracking_uri).get_experiment_by_name("kept") is not None
    assert rekam.Client(rekam_clean.tracking_uri).get_experiment_by_name("kept") is None


def test_every_socket_is_on_the_loopback_interface(kept: Kept) -> None:
    for connection in support.connections(support.family(kept.pid)):
        for address in (connection.laddr, connection.raddr):
            # gRPC writes an IPv4 address as IPv6's ::ffff:127.0.0.1.
            assert not address or ip_address(address.ip.removeprefix("::ffff:")).is_loopback, connection


def test_secrets_are_for_the_owner_and_no_mode_outside_is_touched(kept: Kept) -> None:
    for name in ("credentials.json", "state.json", "nats/nats.conf", "logs/postgres.log"):
        assert stat.S_IMODE((kept.data / name).stat().st_mode) == 0o600, name
    assert stat.S_IMODE(kept.data.stat().st_mode) == 0o700
    assert _modes_above(kept.data) == kept.modes


@pytest.mark.skipif(os.geteuid() != 0, reason="Postgres runs as the user itself unless that is root")
def test_postgres_is_not_run_by_root(kept: Kept) -> None:
    servers = [process for process in support.family(kept.pid) if process.name().startswith("postgres")]
    assert servers
    assert all(process.uids().real != 0 for process in servers)


def test_a_process_that_dies_is_started_again(kept: Kept) -> None:
    victims = {"tracking-project", "nats", "postgres"}
    for process in support.described(kept.stack.grpc).processes:
        if process.name in victims:
            os.kill(process.pid, signal.SIGKILL)

    def back() -> bool:
        processes = support.described(kept.stack.grpc).processes
        return all(each.ready and (each.restarts >= 1 or each.name not in victims) for each in processes)

    support.until("all are ready again", back)
    client = rekam.Client(kept.stack.tracking_uri)
    support.until("it answers", lambda: _answers(client))
    assert client.get_experiment_by_name("kept") is not None
    assert client.get_experiment(kept.experiment_id).name == "kept"


def _answers(client: rekam.Client) -> bool:
    try:
        client.search_experiments()
    except rekam.errors.RekamError:
        return False
    return True


def test_status_names_every_process(rekam_clean: LocalStack) -> None:
    def status() -> dict[str, Any]:
        uri = rekam_clean.tracking_uri
        shown: dict[str, Any] = json.loads(support.rekam("status", "--json", "--tracking-uri", uri).stdout)
        return shown

    support.until("all are ready", lambda: status()["ready"])
    shown = status()
    assert {process["name"] for process in shown["processes"]} == {
        "nats",
        "postgres",
        "seaweed",
        "gateway",
        "tracking-serve",
        "tracking-project",
        "artifacts-serve",
        "artifacts-project",
        "registry-serve",
        "registry-project",
        "archive",
    }
    assert all(process["pid"] and process["resident_bytes"] for process in shown["processes"])
    assert "tracking-serve" in support.rekam("status", "--tracking-uri", rekam_clean.tracking_uri).stdout


def test_reset_leaves_the_stack_as_new(rekam_clean: LocalStack) -> None:
    client = rekam.Client(rekam_clean.tracking_uri)
    experiment_id = client.create_experiment("gone soon")
    run = client.create_run(experiment_id)
    client.log_metric(run.info.run_id, "loss", 0.5)
    client.flush()

    done = support.rekam("reset", "--yes", "--tracking-uri", rekam_clean.tracking_uri)
    assert done.returncode == 0, done.stderr

    client = rekam.Client(rekam_clean.tracking_uri)
    assert [each.name for each in client.search_experiments()] == ["Default"]
    assert client.search_runs([experiment_id, "0"]) == []
    again = client.create_experiment("gone soon")
    assert again == experiment_id, "ids begin anew"
    client.log_metric(client.create_run(again).info.run_id, "loss", 0.25)
    client.flush()
    assert [run.data.metrics["loss"] for run in client.search_runs([again])] == [0.25]


def test_reset_wants_a_yes(rekam_clean: LocalStack) -> None:
    done = support.rekam("reset", "--tracking-uri", rekam_clean.tracking_uri)
    assert done.returncode == 2
    assert "--yes" in done.stderr


def test_reset_refuses_what_is_no_local_stack(tmp_path: Path) -> None:
    server = grpc.server(futures.ThreadPoolExecutor(1))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        other = support.rekam("reset", "--yes", "--tracking-uri", f"grpc://127.0.0.1:{port}")
        assert other.returncode == 1
        assert "is not a local stack" in other.stderr
    finally:
        server.stop(None).wait()
    nobody = support.rekam("reset", "--yes", "--tracking-uri", f"grpc://127.0.0.1:{port}")
    assert nobody.returncode == 3
    assert "no local stack at" in nobody.stderr
    nothing = support.rekam("reset", "--yes", "--data", tmp_path)
    assert nothing.returncode == 3
    assert "no stack runs on" in nothing.stderr


def test_a_directory_has_one_stack(kept: Kept) -> None:
    assert f"is in use by pid {kept.pid}" in support.up_refused(kept.data)
    assert support.described(kept.stack.grpc).data_dir == str(kept.data)


def test_a_port_that_is_taken_is_named_and_nothing_is_left(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        assert f"--http {address} cannot be used" in support.up_refused(tmp_path / "data", "--http", address)
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_is_not_ours_is_refused_and_not_touched(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("text")
    assert "is not a directory" in support.up_refused(file)
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.tex").write_text("text")
    assert "holds something else" in support.up_refused(other)
    assert [each.name for each in other.iterdir()] == ["thesis.tex"]
    newer = tmp_path / "newer"
    newer.mkdir()
    (newer / "rekam.json").write_text('{"format": 99}')
    assert "says format 99" in support.up_refused(newer)


def test_data_outlives_a_stop_and_a_kill_and_what_is_broken_is_named(tmp_path: Path) -> None:
    data = tmp_path / "data"
    _stop_after_creating("first", data)
    assert support.running_in(data) == []
    assert not (data / "state.json").exists()

    with running_stack(data) as stack:
        client = rekam.Client(stack.tracking_uri)
        assert client.get_experiment_by_name("first") is not None
        client.create_experiment("second")
        assert stack.pid is not None
        processes = support.family(stack.pid)
        os.kill(stack.pid, signal.SIGKILL)
        # At once, while processes of the first may still be ending.
        with running_stack(data) as next_stack:
            assert support.none_alive(processes)
            client = rekam.Client(next_stack.tracking_uri)
            assert client.get_experiment_by_name("second") is not None

    assert "began with --points-shards 1" in support.up_refused(data, "--points-shards", "2")
    assert "began with --nats-nodes 1" in support.up_refused(data, "--nats-nodes", "3")
    (data / "postgres" / "data" / "PG_VERSION").write_text("9\n")
    assert "was made by Postgres 9" in support.up_refused(data)
    (data / "credentials.json").write_text("{")
    assert "credentials.json cannot be read" in support.up_refused(data)
    assert support.running_in(data) == []


def _stop_after_creating(experiment: str, data: Path) -> None:
    """As a person does: start it, read the one line of stdout, press Ctrl-C."""
    process = subprocess.Popen(
        [support.REKAM, "up", "--data", data, "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    match = re.fullmatch(r"ready http=http://127\.0\.0\.1:\d+ grpc=(127\.0\.0\.1:\d+)\n", line)
    try:
        assert match is not None, line
        rekam.Client(f"grpc://{match[1]}").create_experiment(experiment)
    finally:
        process.send_signal(signal.SIGINT)
        rest, said = process.communicate(timeout=30)
    assert rest == ""
    assert process.returncode == 0, said
