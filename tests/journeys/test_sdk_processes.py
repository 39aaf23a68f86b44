"""Clients as processes on the real stack: killed in a row, resumed, two hundred at once."""

from __future__ import annotations

import random
import signal
from pathlib import Path

import pytest

from rekam import Client
from rekam.spool import directory as spool_directory
from rekam.spool.cursor import Cursor
from rekam.spool.lock import SpoolLock
from rekam.spool.records import Kind
from rekam.spool.spool import Spool
from rekam.testing import LocalStack
from rekam_proto.ingest.v1 import ingest_pb2
from tests.journeys.test_sdk_sync import sync
from tests.support.programs import Program

QUIET = {"REKAM_SYSTEM_METRICS": "0", "REKAM_CONSOLE": "0", "REKAM_GIT": "0"}


def spooled(root: Path, key: str) -> int:
    """The greatest step of a metric that lies in a spool; -1 when none does."""
    greatest = -1
    for directory in spool_directory.spools_in([root]):
        cursor = Cursor(Spool.adopt(directory, SpoolLock.none()), 0)
        while (stored := cursor.next()) is not None:
            if stored.record.kind is Kind.FRAME:
                keys = cursor.key_sets[stored.record.key_set].body
                if key in ingest_pb2.IngestRequest.FromString(keys).key_set.keys:
                    frame = ingest_pb2.IngestRequest.FromString(stored.record.body).frame
                    greatest = max(greatest, *frame.steps)
        cursor.close()
    return greatest


@pytest.mark.parametrize("seed", [1, 2])
def test_what_reached_the_spools_of_killed_clients_is_stored_once(
    rekam_clean: LocalStack, tmp_path: Path, seed: int
) -> None:
    """Each client takes over what those before it left, and is killed over it too."""
    chance = random.Random(seed)
    uri, run_id = rekam_clean.tracking_uri, ""
    least: dict[str, int] = {}
    for number in range(8):
        key = f"client{number}"
        program = Program(
            uri,
            tmp_path,
            f"""
            run = rekam.start_run({f"run_id={run_id!r}" if run_id else ""})
            print(run.run_id, flush=True)
            for step in range(1_000_000):
                rekam.log_metrics({{{key!r}: step / 7, "other": step}}, step=step)
                if step % 100 == 0:
                    time.sleep(0.002)
                    print(step, flush=True)
            """,
            directory=None,
            REKAM_FLUSH_INTERVAL="0.01",
            # Those in between leave all that they logged.
            REKAM_OFFLINE=str(number % 2),
            **QUIET,
        )
        run_id = program.line()
        for _ in range(chance.randint(1, 150)):
            program.line()
        program.process.send_signal(signal.SIGKILL)
        program.process.communicate()
        least[key] = spooled(tmp_path, key)
    assert max(least.values()) > 0
    done = sync(tmp_path)
    assert done.returncode == 0, done.stdout
    assert spool_directory.spools_in([tmp_path]) == []
    client = Client(uri)
    for key, step in least.items():
        history = client.get_history(run_id, key)
        assert list(history.steps) == list(range(len(history))), key
        assert list(history.values) == [step / 7 for step in range(len(history))], key
        assert len(history) > step, key


def test_a_run_is_resumed_while_another_process_writes_and_after_it_ended(
    rekam_clean: LocalStack, tmp_path: Path
) -> None:
    uri = rekam_clean.tracking_uri
    client = Client(uri)
    first = Program(
        uri,
        tmp_path,
        """
        with rekam.start_run() as run:
            rekam.log_metric("loss", 0, step=0)
            print(run.run_id, flush=True)
            sys.stdin.readline()
            rekam.log_metric("loss", 2, step=2)
        """,
    )
    run_id = first.line()
    second = """
        with rekam.start_run() as run:
            rekam.log_metric("loss", {step}, step={step})
            print(rekam.get_run(run.run_id).info.status)
        """
    out, _ = Program(uri, tmp_path, second.format(step=1), REKAM_RUN_ID=run_id).finish()
    assert out.strip() == "RUNNING"
    first.go_on()
    first.finish()
    ended = client.get_run(run_id).info
    assert ended.status == "FINISHED"
    out, _ = Program(uri, tmp_path, second.format(step=3), REKAM_RUN_ID=run_id).finish()
    assert out.strip() == "RUNNING"
    again = client.get_run(run_id).info
    assert again.status == "FINISHED"
    assert again.end_time is not None
    assert ended.end_time is not None
    assert again.end_time > ended.end_time
    history = client.get_history(run_id, "loss")
    assert sorted(zip(history.steps, history.values, strict=True)) == [(n, float(n)) for n in range(4)]
    assert len(client.get_completeness(run_id)) == 3


def test_a_run_that_lies_in_a_killed_process_spool_is_found_when_it_is_resumed(
    rekam_clean: LocalStack, tmp_path: Path
) -> None:
    uri = rekam_clean.tracking_uri
    killed = Program(
        uri,
        tmp_path,
        """
        run = rekam.start_run()
        rekam.log_metric("loss", 0, step=0)
        rekam.flush()
        print(run.run_id, flush=True)
        sys.stdin.readline()
        """,
        REKAM_OFFLINE="1",
    )
    run_id = killed.line()
    killed.process.send_signal(signal.SIGKILL)
    killed.process.communicate()
    Program(
        uri, tmp_path, 'with rekam.start_run(): rekam.log_metric("loss", 1, step=1)', REKAM_RUN_ID=run_id
    ).finish()
    history = Client(uri).get_history(run_id, "loss")
    assert sorted(history.steps) == [0, 1]
    out, _ = Program(
        uri,
        tmp_path,
        """
        try:
            rekam.start_run(run_id="0" * 32)
        except rekam.errors.NotFound as error:
            print(error)
        """,
    ).finish()
    assert "not found" in out


def test_two_hundred_ranks_make_one_experiment_and_log_into_one_run(
    rekam_clean: LocalStack, tmp_path: Path
) -> None:
    ranks, rows = 200, 50
    # Forked before anything was imported that does not survive it: each is a process like any other.
    program = Program(
        rekam_clean.tracking_uri,
        tmp_path / "spool",
        f"""
        import pathlib
        place = pathlib.Path({str(tmp_path)!r}) / "run-id"

        def work(rank):
            experiment = rekam.set_experiment("two hundred")
            if rank == 0:
                run = rekam.start_run(rank=0)
                place.with_suffix(".new").write_text(run.run_id)
                place.with_suffix(".new").rename(place)
            else:
                deadline = time.monotonic() + 200
                while not place.exists():
                    assert time.monotonic() < deadline, "rank 0 started no run"
                    time.sleep(0.05)
                run = rekam.start_run(run_id=place.read_text(), rank=rank)
            with run:
                for step in range({rows}):
                    rekam.log_metrics({{"loss": rank * 1000 + step, "lr": 0.1}}, step=step)
            # One write each: they share this output.
            os.write(1, f"{{rank}} {{experiment.experiment_id}}\\n".encode())

        children = []
        for rank in range({ranks}):
            pid = os.fork()
            if pid == 0:
                work(rank)
                sys.exit(0)
            children.append(pid)
        assert [os.waitpid(pid, 0)[1] for pid in children] == [0] * {ranks}
        """,
        directory=None,
        REKAM_CONNECT_TIMEOUT="60",
        **QUIET,
    )
    out, err = program.finish(timeout=300)
    assert "Traceback" not in err
    said = [line.split() for line in out.splitlines()]
    assert sorted(int(rank) for rank, _ in said) == list(range(ranks))
    assert {experiment for _, experiment in said} == {"1"}
    client = Client(rekam_clean.tracking_uri)
    assert [each.name for each in client.search_experiments()] == ["two hundred", "Default"]
    run_id = (tmp_path / "run-id").read_text()
    assert [run.info.run_id for run in client.search_runs(["1"])] == [run_id]
    writers = client.get_completeness(run_id)
    assert sorted(writer.rank if writer.rank is not None else -1 for writer in writers) == list(range(ranks))
    assert all(writer.gaps == () for writer in writers)
    history = client.get_history(run_id, "loss")
    found = sorted(zip(history.values, history.steps, strict=True))
    assert found == [(rank * 1000 + step, step) for rank in range(ranks) for step in range(rows)]
    assert client.get_run(run_id).info.status == "FINISHED"
    assert not list((tmp_path / "spool").iterdir())
