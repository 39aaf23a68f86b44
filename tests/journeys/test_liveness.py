"""Runs whose writers fall silent have crashed, on the real stack; those that cannot be heard have not."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from rekam import Client
from rekam.entities import WriterCompleteness
from rekam.testing import LocalStack, running_stack
from tests.support.faults import Faults
from tests.support.log_audit import statuses_in_the_log
from tests.support.programs import Program
from tests.support.stack import until

CRASHED_AFTER_S = 5.0
RECOVERY_S = 180.0
WRITES = """
    run = rekam.start_run()
    rekam.log_metric("loss", 1.0)
    rekam.flush()
    print(run.run_id, flush=True)
    sys.stdin.read()
    rekam.end_run()
    """


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """A stack that does not wait as long as others."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("REKAM_CRASHED_AFTER_S", str(CRASHED_AFTER_S))
        with running_stack(tmp_path_factory.mktemp("liveness")) as running:
            yield running


@pytest.fixture
def client(stack: LocalStack) -> Client:
    return Client(stack.tracking_uri)


class Writing:
    """Programs that write until they are told to end."""

    def __init__(self, uri: str, spool: Path) -> None:
        self.programs: list[Program] = []
        self._uri = uri
        self._spool = spool

    def start(self, run_id: str = "", rank: int = 0) -> Program:
        program = Program(
            self._uri,
            self._spool / str(len(self.programs)),
            WRITES,
            RANK=str(rank),
            REKAM_RUN_ID=run_id,
            REKAM_HEARTBEAT_SECONDS="0.5",
        )
        self.programs.append(program)
        return program


@pytest.fixture
def writing(stack: LocalStack, tmp_path: Path) -> Iterator[Writing]:
    found = Writing(stack.tracking_uri, tmp_path)
    yield found
    for program in found.programs:
        program.process.kill()
        program.process.wait()


def status(client: Client, run_id: str) -> str:
    return client.get_run(run_id).info.status


def writers(client: Client, run_id: str) -> dict[int | None, WriterCompleteness]:
    """Of each rank the last that was heard."""
    found = sorted(client.get_completeness(run_id), key=lambda writer: writer.heard_us or 0)
    return {writer.rank: writer for writer in found}


def heard(client: Client, run_id: str) -> int:
    return max(writer.heard_us or 0 for writer in client.get_completeness(run_id))


def becomes(client: Client, run_id: str, wanted: str) -> None:
    until(f"{run_id} is {wanted}", lambda: status(client, run_id) == wanted, RECOVERY_S)


def test_a_run_whose_writer_was_killed_has_crashed_until_it_is_resumed(
    client: Client, writing: Writing
) -> None:
    never_heard = str(client.create_run("0").info.run_id)
    first = writing.start()
    run_id = first.line()
    becomes(client, run_id, "RUNNING")
    until("a heartbeat", lambda: writers(client, run_id)[0].alive)
    first.process.kill()
    becomes(client, run_id, "CRASHED")
    run = client.get_run(run_id).info
    assert run.end_time is not None
    assert run.end_time <= heard(client, run_id) // 1000
    assert [each.info.run_id for each in client.search_runs(["0"], "status = 'CRASHED'")] == [run_id]
    until("the writer is dead", lambda: writers(client, run_id)[0].alive is False)
    assert status(client, never_heard) == "RUNNING"  # its silence says nothing

    resumed = writing.start(run_id)
    assert resumed.line() == run_id
    becomes(client, run_id, "RUNNING")
    assert client.get_run(run_id).info.end_time is None
    resumed.process.communicate(timeout=60)
    becomes(client, run_id, "FINISHED")


def test_a_run_that_was_cut_off_comes_back_by_itself(client: Client, writing: Writing) -> None:
    program = writing.start()
    run_id = program.line()
    until("a heartbeat", lambda: writers(client, run_id)[0].alive)
    process = psutil.Process(program.process.pid)
    process.suspend()
    becomes(client, run_id, "CRASHED")
    process.resume()
    becomes(client, run_id, "RUNNING")
    assert client.get_run(run_id).info.end_time is None


def test_a_run_lives_as_long_as_one_of_its_ranks(client: Client, writing: Writing) -> None:
    first = writing.start(rank=0)
    run_id = first.line()
    second = writing.start(run_id, rank=1)
    second.line()
    until(
        "both are heard",
        lambda: {rank for rank, one in writers(client, run_id).items() if one.alive} == {0, 1},
    )
    first.process.kill()
    until("rank 0 is dead", lambda: writers(client, run_id)[0].alive is False, RECOVERY_S)
    assert writers(client, run_id)[1].alive
    assert status(client, run_id) == "RUNNING"
    second.process.kill()
    becomes(client, run_id, "CRASHED")


@pytest.mark.parametrize("away", [("gateway",), ("nats", "postgres")])
async def test_a_server_that_cannot_hear_takes_nobody_for_dead(
    stack: LocalStack, client: Client, writing: Writing, away: tuple[str, ...]
) -> None:
    program = writing.start()
    run_id = program.line()
    until("a heartbeat", lambda: writers(client, run_id)[0].alive)
    faults = Faults(stack)
    before = heard(client, run_id)
    with faults.gone(*away):
        end = time.monotonic() + 2 * CRASHED_AFTER_S
        until("it was away for longer than a writer may be silent", lambda: time.monotonic() > end)
    faults.all_ready()
    until("it is heard again", lambda: heard(client, run_id) > before, RECOVERY_S)
    # Now it is judged again: by when it was heard since, not by when before.
    other = writing.start()
    other_id = other.line()
    until("a heartbeat of the other", lambda: writers(client, other_id)[0].alive)
    other.process.kill()
    becomes(client, other_id, "CRASHED")
    assert await statuses_in_the_log(faults, run_id) == []
