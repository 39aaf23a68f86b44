"""Heartbeats of the SDK: from every process that writes a run, as long as it does, idle or not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rekam_proto.ingest.v1 import ingest_pb2
from tests.support.memory_server import MemoryServer
from tests.support.programs import Program

OFTEN = "0.1"


@pytest.fixture
def server() -> Iterator[MemoryServer]:
    server = MemoryServer()
    yield server
    server.stop()


def heard(server: MemoryServer, run_id: str) -> int:
    """How many heartbeats came for the run so far."""
    return sum(count for (run, _), (_, _, count) in server.heartbeats.items() if run == run_id)


def more(server: MemoryServer, run_id: str, number: int = 3) -> None:
    """Wait for some more heartbeats."""
    before = heard(server, run_id)
    server.wait_for(lambda: heard(server, run_id) >= before + number)


def test_an_idle_run_is_heard_until_it_ends(server: MemoryServer, tmp_path: Path) -> None:
    program = Program(
        server.uri,
        tmp_path,
        """
        run = rekam.start_run(rank=7)
        print(run.run_id, run.writer, flush=True)
        sys.stdin.readline()
        run_2 = rekam.start_run(nested=True)
        rekam.end_run()
        print(run_2.run_id, flush=True)
        sys.stdin.readline()
        rekam.end_run()
        print("ended", flush=True)
        sys.stdin.readline()
        run_3 = rekam.start_run()
        print(run_3.run_id, flush=True)
        sys.stdin.readline()
        """,
        REKAM_HEARTBEAT_SECONDS=OFTEN,
    )
    run_id, writer = program.line().split()
    more(server, run_id)
    rank, interval_ms, _ = server.heartbeats[run_id, writer]
    assert (rank, interval_ms) == (7, 100)
    assert server.frames == {}
    program.go_on()
    program.line()
    more(server, run_id)
    program.go_on()
    assert program.line() == "ended"
    program.go_on()
    third = program.line()
    more(server, third)  # none of before is on its way any more
    at_end = heard(server, run_id)
    more(server, third, 5)
    assert heard(server, run_id) == at_end
    program.go_on()
    program.finish()


def test_heartbeats_go_on_when_streams_break(server: MemoryServer, tmp_path: Path) -> None:
    program = Program(
        server.uri,
        tmp_path,
        """
        print(rekam.start_run().run_id, flush=True)
        sys.stdin.readline()
        """,
        REKAM_HEARTBEAT_SECONDS=OFTEN,
    )
    run_id = program.line()
    for _ in range(3):
        more(server, run_id)
        server.break_streams()
    more(server, run_id)
    program.go_on()
    program.finish()


def test_a_run_that_waits_for_room_is_heard(server: MemoryServer, tmp_path: Path) -> None:
    program = Program(
        server.uri,
        tmp_path,
        """
        run = rekam.start_run()
        rekam.flush()
        print(run.run_id, flush=True)
        sys.stdin.readline()
        for step in range(100_000):
            rekam.log_metrics({f"k{i}": 1.0 for i in range(50)}, step=step)
        print("logged", flush=True)
        sys.stdin.readline()
        os._exit(0)
        """,
        REKAM_HEARTBEAT_SECONDS=OFTEN,
    )
    run_id = program.line()
    more(server, run_id)
    server.hold()
    program.go_on()
    assert program.line() == "logged"
    more(server, run_id)
    program.go_on()
    program.finish()


def test_a_forked_child_beats_from_its_first_record_on(server: MemoryServer, tmp_path: Path) -> None:
    program = Program(
        server.uri,
        tmp_path,
        """
        run = rekam.start_run()
        rekam.flush()
        pid = os.fork()
        if pid == 0:
            sys.stdin.readline()
            rekam.log_metric("child", 1.0)
            print(run.run_id, run.writer, flush=True)
            sys.stdin.readline()
            os._exit(0)
        os.waitpid(pid, 0)
        """,
        REKAM_HEARTBEAT_SECONDS=OFTEN,
    )
    server.wait_for(lambda: bool(server.heartbeats))
    assert len(server.heartbeats) == 1
    program.go_on()
    run_id, writer = program.line().split()
    server.wait_for(lambda: (run_id, writer) in server.heartbeats)
    more(server, run_id)
    program.go_on()
    program.finish()
    assert len(server.heartbeats) == 2


def test_without_an_interval_there_are_none(server: MemoryServer, tmp_path: Path) -> None:
    out, _ = Program(
        server.uri,
        tmp_path,
        """
        with rekam.start_run() as run:
            rekam.log_metric("loss", 1.0)
        print(run.run_id)
        """,
        REKAM_HEARTBEAT_SECONDS="0",
    ).finish()
    assert len(server.points(out.strip(), "loss")) == 1
    assert server.streams == 1


def test_a_run_that_could_not_be_opened_is_opened_soon(server: MemoryServer, tmp_path: Path) -> None:
    refused: list[ingest_pb2.IngestRequest] = []

    def refuse(request: ingest_pb2.IngestRequest) -> ingest_pb2.Refusal | None:
        if not request.HasField("open_run") or len(refused) == 3:
            return None
        refused.append(request)
        return ingest_pb2.Refusal(code=9, field="open_run.run_id", message="the run is deleted")

    server.refuse = refuse
    program = Program(
        server.uri,
        tmp_path,
        """
        print(rekam.start_run().run_id, flush=True)
        sys.stdin.readline()
        """,
        REKAM_HEARTBEAT_SECONDS="600",
    )
    run_id = program.line()
    server.wait_for(lambda: heard(server, run_id) >= 1)
    assert len(refused) == 3
    program.go_on()
    program.finish()
