"""`rekam up`, `status` and `reset`: a stack's life on the real parts."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
from collections.abc import Iterator
from concurrent import futures
from ipaddress import ip_address
from pathlib import Path

import grpc
import psutil
import pytest

import rekam
from rekam.testing import LocalStack, running_stack
from tests.support import stack as support


def _modes_above(path: Path) -> dict[Path, int]:
    return {parent: stat.S_IMODE(parent.stat().st_mode) for parent in path.parents}


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory that only its owner may enter, as mktemp -d and home directories are."""
    path = tmp_path_factory.mktemp("closed")
    path.chmod(0o700)
    return path


@pytest.fixture(scope="module")
def keeper(closed: Path) -> Iterator[tuple[LocalStack, str]]:
    """A stack with an experiment in it; it runs beside the session's."""
    with running_stack(closed / "kept") as stack:
        yield stack, rekam.Client(stack.tracking_uri).create_experiment("kept")


def test_two_stacks_side_by_side_share_nothing(
    keeper: tuple[LocalStack, str], rekam_clean: LocalStack
) -> None:
    stack, _ = keeper
    assert rekam.Client(stack.tracking_uri).get_experiment_by_name("kept") is not None
    assert rekam.Client(rekam_clean.tracking_uri).get_experiment_by_name("kept") is None


def test_every_socket_is_on_the_loopback_interface(keeper: tuple[LocalStack, str]) -> None:
    stack, _ = keeper
    assert stack.pid is not None
    for connection in support.connections(support.family(stack.pid)):
        for address in (connection.laddr, connection.raddr):
            # gRPC writes an IPv4 address as IPv6's ::ffff:127.0.0.1.
            assert not address or ip_address(address.ip.removeprefix("::ffff:")).is_loopback, connection


def test_secrets_are_for_the_owner_and_no_mode_outside_is_touched(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    programs = Path(rekam.__file__)
    before = _modes_above(tmp_path / "data") | _modes_above(programs)
    with running_stack(tmp_path / "data") as stack:
        assert stack.data is not None
        for name in ("credentials.json", "state.json", "nats/nats.conf", "logs/postgres.log"):
            assert stat.S_IMODE((stack.data / name).stat().st_mode) == 0o600, name
        assert stat.S_IMODE(stack.data.stat().st_mode) == 0o700
    assert before == _modes_above(tmp_path / "data") | _modes_above(programs)


@pytest.mark.skipif(os.geteuid() != 0, reason="Postgres runs as the user itself unless that is root")
def test_postgres_is_not_run_by_root(keeper: tuple[LocalStack, str]) -> None:
    stack, _ = keeper
    assert stack.pid is not None
    servers = [process for process in support.family(stack.pid) if process.name().startswith("postgres")]
    assert servers
    assert all(process.uids().real != 0 for process in servers)


def test_a_process_that_dies_is_started_again(keeper: tuple[LocalStack, str]) -> None:
    stack, experiment_id = keeper
    victims = {"tracking-project", "nats", "postgres"}
    for process in support.described(stack.grpc).processes:
        if process.name in victims:
            os.kill(process.pid, signal.SIGKILL)

    def back() -> bool:
        processes = support.described(stack.grpc).processes
        return all(each.ready and (each.restarts >= 1 or each.name not in victims) for each in processes)

    support.until("all are ready again", back)
    client = rekam.Client(stack.tracking_uri)
    support.until("it answers", lambda: _answers(client))
    assert client.get_experiment_by_name("kept") is not None
    assert client.get_experiment(experiment_id).name == "kept"


def _answers(client: rekam.Client) -> bool:
    try:
        client.search_experiments()
    except rekam.errors.RekamError:
        return False
    return True


def test_status_names_every_process(rekam_clean: LocalStack) -> None:
    shown = json.loads(support.rekam("status", "--json", "--tracking-uri", rekam_clean.tracking_uri).stdout)
    assert shown["ready"] is True
    assert {process["name"] for process in shown["processes"]} == {
        "nats",
        "postgres",
        "seaweed",
        "gateway",
        "tracking-serve",
        "tracking-project",
        "artifacts-serve",
        "registry-serve",
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


def test_a_directory_has_one_stack(keeper: tuple[LocalStack, str]) -> None:
    stack, _ = keeper
    assert stack.data is not None
    assert f"is in use by pid {stack.pid}" in support.up_refused(stack.data)
    assert support.described(stack.grpc).data_dir == str(stack.data)


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


def test_a_stack_is_kept_over_a_stop_and_over_a_kill_and_what_is_broken_is_named(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with running_stack(data) as stack:
        rekam.Client(stack.tracking_uri).create_experiment("first")
        assert stack.pid is not None
        processes = support.family(stack.pid)
        os.kill(stack.pid, signal.SIGTERM)
        support.until("SIGTERM ends every process", lambda: support.none_alive(processes), 10.0)
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
    (data / "postgres" / "data" / "PG_VERSION").write_text("9\n")
    assert "was made by Postgres 9" in support.up_refused(data)
    (data / "credentials.json").write_text("{")
    assert "credentials.json cannot be read" in support.up_refused(data)
    here = psutil.Process()
    assert support.none_alive(each for each in here.children(recursive=True) if "postgres" in each.name())


def test_stdout_has_one_line_and_sigint_exits_with_0(tmp_path: Path) -> None:
    arguments = ["up", "--data", str(tmp_path / "data"), "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0"]
    process = subprocess.Popen(
        [support.REKAM, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    first = process.stdout.readline()
    process.send_signal(signal.SIGINT)
    rest, said = process.communicate(timeout=30)
    assert first.startswith("ready http=http://127.0.0.1:"), said
    assert " grpc=127.0.0.1:" in first
    assert rest == ""
    assert process.returncode == 0
