"""Offline programs, and `rekam sync`: what was left in spools is found, listed, delivered once.

Programs and commands run as processes of their own against a real gRPC server in this one.
"""

from __future__ import annotations

import json
import os
import signal
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rekam_proto.ingest.v1 import ingest_pb2
from rekam_proto.tracking.v1 import run_pb2
from tests.support.memory_server import MemoryServer
from tests.support.ports import free_port
from tests.support.programs import Program
from tests.support.stack import REKAM

# Nobody listens there: a program that tries to connect would say so.
NOWHERE = "grpc://127.0.0.1:1"


@pytest.fixture
def server() -> Iterator[MemoryServer]:
    server = MemoryServer()
    yield server
    server.stop()


def sync(spool: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("REKAM_")}
    return subprocess.run(
        [REKAM, "sync", *arguments],
        env={**clean, "REKAM_SPOOL_DIR": str(spool), "REKAM_CONNECT_TIMEOUT": "30", **environ},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def listed(spool: Path, *arguments: str) -> list[dict[str, Any]]:
    done = sync(spool, "--list", "--json", *arguments)
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def offline(spool: Path, source: str, uri: str = NOWHERE, **environ: str) -> tuple[str, str]:
    """A program that is offline by choice."""
    return Program(uri, spool, source, directory=None, REKAM_OFFLINE="1", **environ).finish()


def hundred(spool: Path, uri: str = NOWHERE) -> str:
    """The id of a run of 100 points, left in a spool."""
    out, _ = offline(
        spool,
        """
        with rekam.start_run() as run:
            for step in range(100):
                rekam.log_metric("loss", step, step=step)
        print(run.run_id)
        """,
        uri,
    )
    return out.strip()


def test_an_offline_program_connects_nowhere_and_is_delivered_by_sync(
    server: MemoryServer, tmp_path: Path
) -> None:
    out, err = offline(
        tmp_path,
        """
        rekam.set_experiment("Offline")
        with rekam.start_run(run_name="one") as run:
            rekam.log_param("p", 1)
            for step in range(1000):
                rekam.log_metric("loss", step, step=step)
            rekam.flush()
            try:
                rekam.get_run(run.run_id)
            except rekam.errors.Unavailable as error:
                print(error)
        rekam.set_offline(False)
        print(rekam.is_offline(), run.run_id)
        """,
    )
    said, last = out.splitlines()
    run_id = last.split()[-1]
    assert "offline" in said
    (line,) = err.splitlines()
    (found,) = listed(tmp_path)
    assert found["directory"] in line
    assert f"rekam sync --dir {tmp_path}" in line
    assert (found["target"], found["runs"], found["in_use"]) == ("127.0.0.1:1", [run_id], False)
    # Resumed by its id, offline too, it is the same run.
    offline(
        tmp_path,
        """
        with rekam.start_run() as run:
            rekam.log_metric("loss", 1000, step=1000)
            rekam.set_tag("resumed", "yes")
        """,
        REKAM_RUN_ID=run_id,
    )
    dry = sync(tmp_path, "--uri", server.uri, "--dry-run")
    assert dry.stdout.count("would deliver") == 2
    assert server.runs == {}
    done = sync(tmp_path, "--uri", server.uri)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("delivered") == 2
    assert server.runs[run_id].experiment_name == "Offline"
    assert sorted(step for step, _, _ in server.points(run_id, "loss")) == list(range(1001))
    assert server.params[run_id] == {"p": "1"}
    assert server.tags[run_id]["resumed"] == "yes"
    assert server.updates[run_id].status == run_pb2.RUN_STATUS_FINISHED
    assert listed(tmp_path) == []
    assert sync(tmp_path).stdout == "nothing to deliver\n"


def test_a_spool_goes_to_the_server_it_is_meant_for(server: MemoryServer, tmp_path: Path) -> None:
    run_id = hundred(tmp_path, server.uri)
    assert sync(tmp_path).returncode == 0
    assert len(server.points(run_id, "loss")) == 100


def test_a_server_that_is_not_there_leaves_the_spool(server: MemoryServer, tmp_path: Path) -> None:
    hundred(tmp_path)
    done = sync(tmp_path, REKAM_CONNECT_TIMEOUT="0.5")
    assert done.returncode == 3
    assert "127.0.0.1:1 is not there" in done.stdout
    assert len(listed(tmp_path)) == 1


def test_only_what_is_named_is_delivered(server: MemoryServer, tmp_path: Path) -> None:
    first, second = hundred(tmp_path), hundred(tmp_path)
    names = {each["runs"][0]: Path(each["directory"]).name for each in listed(tmp_path)}
    assert sync(tmp_path, names[second], "--uri", server.uri).returncode == 0
    assert list(server.runs) == [second]
    assert [each["runs"] for each in listed(tmp_path)] == [[first]]
    assert sync(tmp_path, "nothing-there").returncode == 2


def test_a_process_that_runs_is_left_alone(server: MemoryServer, tmp_path: Path) -> None:
    program = Program(
        NOWHERE,
        tmp_path,
        """
        run = rekam.start_run()
        rekam.log_metric("loss", 1.0)
        rekam.flush()
        print(run.run_id, flush=True)
        sys.stdin.readline()
        """,
        REKAM_OFFLINE="1",
    )
    run_id = program.line()
    (found,) = listed(tmp_path)
    assert (found["in_use"], found["pid"]) == (True, program.process.pid)
    done = sync(tmp_path, "--uri", server.uri)
    assert done.returncode == 0
    assert f"in use by process {program.process.pid}" in done.stdout
    assert server.runs == {}
    program.process.send_signal(signal.SIGKILL)
    program.process.communicate()
    assert sync(tmp_path, "--uri", server.uri).returncode == 0
    assert len(server.points(run_id, "loss")) == 1


def test_two_syncs_at_once_share_the_work_and_one_that_is_killed_is_gone_on_with(
    server: MemoryServer, tmp_path: Path
) -> None:
    runs = [hundred(tmp_path) for _ in range(4)]
    server.hold()
    killed = subprocess.Popen([REKAM, "sync", "--dir", tmp_path, "--uri", server.uri], stdout=subprocess.PIPE)
    server.wait_for(lambda: server.received_frames > 0)
    killed.kill()
    killed.communicate()
    assert len(listed(tmp_path)) == 4
    server.release()
    both = [
        subprocess.Popen(
            [REKAM, "sync", "--dir", tmp_path, "--uri", server.uri], stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    said = "".join(each.communicate(timeout=120)[0] for each in both)
    assert [each.returncode for each in both] == [0, 0], said
    assert said.count(": delivered") == 4
    assert listed(tmp_path) == []
    for run_id in runs:
        assert [step for step, _, _ in server.points(run_id, "loss")] == list(range(100))


def test_what_the_server_refuses_is_said_by_name(server: MemoryServer, tmp_path: Path) -> None:
    def refuse(request: ingest_pb2.IngestRequest) -> ingest_pb2.Refusal | None:
        if request.HasField("set_tags"):
            return ingest_pb2.Refusal(code=3, field="tags[0].value", message="not today")
        return None

    server.refuse = refuse
    out, _ = offline(
        tmp_path,
        """
        with rekam.start_run() as run:
            rekam.set_tag("a", 1)
            rekam.log_metric("loss", 1.0)
        print(run.run_id)
        """,
    )
    run_id = out.strip()
    done = sync(tmp_path, "--uri", server.uri)
    assert done.returncode == 1
    assert f"refused: set_tags of run {run_id}: tags[0].value: not today" in done.stdout
    assert len(server.points(run_id, "loss")) == 1
    assert listed(tmp_path) == []


def test_damage_is_said_by_name_and_what_is_whole_is_delivered(server: MemoryServer, tmp_path: Path) -> None:
    out, _ = offline(
        tmp_path,
        """
        with rekam.start_run() as run:
            for step in range(5):
                rekam.log_metric("loss", step, step=step)
                rekam.flush()   # ends a frame
        print(run.run_id)
        """,
        REKAM_SYSTEM_METRICS="0",
        REKAM_CONSOLE="0",
        REKAM_GIT="0",
    )
    run_id = out.strip()
    (segment,) = tmp_path.glob("*/*.spool")
    content = bytearray(segment.read_bytes())
    content[content.index(struct.pack("<d", 3.0))] ^= 1  # in the frame of step 3
    segment.write_bytes(content)
    assert listed(tmp_path)[0]["damaged"] > 0
    done = sync(tmp_path, "--uri", server.uri)
    assert done.returncode == 1
    assert f"damaged: {segment}, position " in done.stdout
    assert f"of run {run_id}" in done.stdout
    assert sorted(step for step, _, _ in server.points(run_id, "loss")) == [0, 1, 2, 4]
    assert segment.with_suffix(".damaged").exists()
    assert listed(tmp_path) == []


def test_other_hosts_and_unreadable_descriptions_are_left_unless_asked_for(
    server: MemoryServer, tmp_path: Path
) -> None:
    run_id = hundred(tmp_path, server.uri)
    (about,) = tmp_path.glob("*/about.json")
    about.write_text(about.read_text().replace(f'"host": "{os.uname().nodename}"', '"host": "elsewhere"'))
    done = sync(tmp_path)
    assert done.returncode == 1
    assert "of host elsewhere" in done.stdout
    about.write_text("{")
    done = sync(tmp_path)
    assert done.returncode == 1
    assert "about.json cannot be read" in done.stdout
    assert server.runs == {}
    assert sync(tmp_path, "--uri", server.uri).returncode == 0
    assert len(server.points(run_id, "loss")) == 100


def test_a_run_that_nobody_created_yet_is_waited_for(server: MemoryServer, tmp_path: Path) -> None:
    """Of a job without a server, the ranks' spools are delivered before the one that creates the run."""
    run_id = hundred(tmp_path / "first")
    offline(
        tmp_path / "second",
        """
        with rekam.start_run():
            rekam.set_tag("rank", 1)
            rekam.log_metric("loss", 100, step=100)
        """,
        REKAM_RUN_ID=run_id,
        REKAM_RANK="1",
    )
    done = sync(tmp_path / "second", "--uri", server.uri)
    assert done.returncode == 1
    assert "waits for whoever creates it" in done.stdout
    assert len(listed(tmp_path / "second")) == 1
    places = [f"--dir={tmp_path / name}" for name in ("second", "first")]
    both = sync(tmp_path, *places, "--uri", server.uri)
    assert both.returncode == 0, both.stdout
    assert sorted(step for step, _, _ in server.points(run_id, "loss")) == list(range(101))
    assert server.tags[run_id]["rank"] == "1"


def test_a_rank_whose_run_is_not_known_yet_waits_for_it(tmp_path: Path) -> None:
    """Without a server nobody can say that the run exists; its creator is heard after the rank."""
    port = free_port()
    uri = f"grpc://127.0.0.1:{port}"
    run_id = hundred(tmp_path / "creator", uri)
    rank = Program(
        uri,
        tmp_path / "rank",
        """
        with rekam.start_run():
            rekam.set_tag("rank", 1)
            rekam.log_metric("loss", 100, step=100)
            print("logged", flush=True)
            sys.stdin.readline()
            rekam.flush()
        """,
        directory=None,
        REKAM_RUN_ID=run_id,
        REKAM_RANK="1",
        REKAM_CONNECT_TIMEOUT="0.2",
    )
    assert rank.line() == "logged"
    server = MemoryServer(f"127.0.0.1:{port}")
    try:
        server.wait_for(lambda: server.streams > 1)
        assert server.frames == {}
        assert sync(tmp_path / "creator").returncode == 0
        rank.go_on()
        _, err = rank.finish()
        assert "until whoever creates it is heard" in err
        assert sorted(step for step, _, _ in server.points(run_id, "loss")) == list(range(101))
        assert server.tags[run_id]["rank"] == "1"
    finally:
        server.stop()


def test_offline_a_full_spool_raises_and_what_is_lost_at_the_exit_is_said(tmp_path: Path) -> None:
    out, err = offline(
        tmp_path,
        """
        run = rekam.start_run()
        row = {f"k{number}": 0.5 for number in range(1000)}
        try:
            while True:
                rekam.log_metrics(row)
        except rekam.errors.SpoolFull as error:
            print(error.field)
        """,
        REKAM_SPOOL_BYTES=str(4 * 1024**2),
        REKAM_BUFFER_BYTES=str(1024**2),
        REKAM_EXIT_TIMEOUT="0.5",
    )
    assert out.strip() == "REKAM_ON_FULL"
    assert "bytes of what was logged last are lost with this process" in err
