"""What a program logs reaches the server, once: with drops, refusals, forks, kills, and no server.

Programs run as processes of their own against a real gRPC server in this one.
"""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from rekam_proto.ingest.v1 import ingest_pb2
from rekam_proto.tracking.v1 import run_pb2
from tests.support.jumping_clock import JumpingClock
from tests.support.memory_server import MemoryServer
from tests.support.ports import free_port
from tests.support.programs import Program
from tests.support.stack import until


@pytest.fixture
def server() -> Iterator[MemoryServer]:
    server = MemoryServer()
    yield server
    server.stop()


def spools(root: Path) -> list[Path]:
    return sorted(root.iterdir()) if root.exists() else []


def test_a_training_loop(server: MemoryServer, tmp_path: Path) -> None:
    program = Program(
        server.uri,
        tmp_path,
        """
        rekam.set_experiment("House Price Prediction")
        with rekam.start_run(run_name="first") as run:
            rekam.log_params({"n_estimators": 100, "max_depth": 5})
            rekam.set_tag("kind", "test")
            for step in range(1000):
                rekam.log_metrics({"loss": 1 / (step + 1), "r2_score": step / 1000}, step=step)
            rekam.log_metric("odd", float("nan"), step=-5)
            rekam.log_metric("odd", float("-inf"), step=2**62)
        print(run.info.run_id)
        """,
    )
    out, err = program.finish()
    run_id = out.strip()
    assert err == ""
    created = server.runs[run_id]
    assert (created.experiment_id, created.name) == ("1", "first")
    assert server.params[run_id] == {"n_estimators": "100", "max_depth": "5"}
    assert server.tags[run_id]["kind"] == "test"
    assert server.tags[run_id]["mlflow.runName"] == "first"
    assert [(step, value) for step, _, value in server.points(run_id, "loss")] == [
        (step, 1 / (step + 1)) for step in range(1000)
    ]
    odd = server.points(run_id, "odd")
    assert [step for step, _, _ in odd] == [-5, 2**62]
    assert odd[1][2] == float("-inf")
    assert server.updates[run_id].status == run_pb2.RUN_STATUS_FINISHED
    assert spools(tmp_path) == []


def test_streams_that_break_lose_and_repeat_nothing(server: MemoryServer, tmp_path: Path) -> None:
    program = Program(
        server.uri,
        tmp_path,
        """
        import threading
        with rekam.start_run() as run:
            print(run.run_id, flush=True)
            stop = threading.Event()
            threading.Thread(target=lambda: (sys.stdin.readline(), stop.set()), daemon=True).start()
            step = 0
            while not stop.wait(0.05):
                for step in range(step, step + 500):
                    rekam.log_metrics({f"k{i}": step + i for i in range(10)}, step=step)
                step += 1
        print(step)
        """,
        REKAM_FLUSH_INTERVAL="0.01",
    )
    run_id = program.line()
    for breaks in range(1, 6):
        seen = server.received_frames
        server.wait_for(lambda seen=seen: server.received_frames > seen + 2)  # type: ignore[misc]
        server.break_streams()
        server.wait_for(lambda breaks=breaks: server.streams > breaks)  # type: ignore[misc]
    program.go_on()
    steps = int(program.finish()[0])
    assert [step for step, _, _ in server.points(run_id, "k3")] == list(range(steps))
    assert len(server.writers(run_id)) == 1


def test_what_is_held_back_is_sent_again_and_stored_once(server: MemoryServer, tmp_path: Path) -> None:
    program = Program(
        server.uri,
        tmp_path,
        """
        run = rekam.start_run()
        print(run.run_id, flush=True)
        sys.stdin.readline()
        for step in range(100):
            rekam.log_metric("loss", step, step=step)
        try:
            rekam.flush(timeout=0.5)
        except rekam.errors.DeliveryTimeout as error:
            print("not yet", flush=True)
        sys.stdin.readline()
        rekam.flush()
        print("flushed", flush=True)
        rekam.end_run()
        """,
    )
    run_id = program.line()
    server.hold()
    program.go_on()
    assert program.line() == "not yet"
    server.wait_for(lambda: len(server.points(run_id, "loss")) == 100)
    received = server.received_frames
    server.release()
    program.go_on()
    assert program.line() == "flushed"
    program.finish()
    assert server.received_frames > received
    assert [step for step, _, _ in server.points(run_id, "loss")] == list(range(100))


def test_a_program_without_a_server_goes_on_and_delivers_when_there_is_one(tmp_path: Path) -> None:
    port = free_port()
    program = Program(
        f"grpc://127.0.0.1:{port}",
        tmp_path,
        """
        rekam.set_experiment("Offline")
        run = rekam.start_run()
        for step in range(1000):
            rekam.log_metric("loss", step, step=step)
        rekam.log_param("p", 1)
        print(run.run_id, flush=True)
        sys.stdin.readline()
        rekam.flush()
        rekam.end_run()
        """,
        REKAM_CONNECT_TIMEOUT="0.3",
    )
    run_id = program.line()
    server = MemoryServer(f"127.0.0.1:{port}")
    try:
        program.go_on()
        _, err = program.finish()
        assert "without a server" in err
        assert server.runs[run_id].experiment_name == "Offline"
        assert len(server.points(run_id, "loss")) == 1000
        assert server.params[run_id] == {"p": "1"}
        assert spools(tmp_path) == []
    finally:
        server.stop()


def test_what_a_killed_program_left_is_delivered_by_the_next(tmp_path: Path) -> None:
    port = free_port()
    uri = f"grpc://127.0.0.1:{port}"
    killed = Program(
        uri,
        tmp_path,
        """
        run = rekam.start_run()
        for step in range(1000):
            rekam.log_metrics({"loss": step, "acc": -step}, step=step)
        while not any(path.stat().st_size > 20_000 for path in __import__("pathlib").Path(
            os.environ["REKAM_SPOOL_DIR"]).glob("*/*.spool")):
            time.sleep(0.01)
        print(run.run_id, flush=True)
        sys.stdin.readline()
        """,
        REKAM_CONNECT_TIMEOUT="0.2",
    )
    run_id = killed.line()
    killed.process.send_signal(signal.SIGKILL)
    killed.process.communicate()
    (left,) = spools(tmp_path)
    server = MemoryServer(f"127.0.0.1:{port}")
    try:
        following = Program(
            uri,
            tmp_path,
            """
            with rekam.start_run() as run:
                rekam.log_metric("other", 1.0)
                sys.stdin.readline()
            """,
        )
        server.wait_for(lambda: len(server.points(run_id, "loss")) == 1000)
        until("what was left is gone", lambda: not left.exists())
        following.go_on()
        _, err = following.finish()
        assert str(left) in err
        assert [step for step, _, _ in server.points(run_id, "acc")] == list(range(1000))
        assert len(server.runs) == 2
    finally:
        server.stop()


def test_refused_records_are_raised_and_the_rest_is_stored(server: MemoryServer, tmp_path: Path) -> None:
    def refuse(request: ingest_pb2.IngestRequest) -> ingest_pb2.Refusal | None:
        if request.HasField("set_tags"):
            return ingest_pb2.Refusal(code=3, field="tags[0].value", message="not today")
        return None

    server.refuse = refuse
    program = Program(
        server.uri,
        tmp_path,
        """
        run = rekam.start_run()
        rekam.set_tag("a", 1)
        rekam.log_metric("loss", 1.0)
        try:
            rekam.flush()
        except rekam.errors.RefusedRecords as error:
            (refusal,) = error.refusals
            print(json.dumps([refusal.code, refusal.field, refusal.record, refusal.run_id == run.run_id]))
        rekam.flush()
        rekam.end_run()
        """,
        REKAM_GIT="0",
    )
    out, err = program.finish()
    assert json.loads(out) == ["INVALID_ARGUMENT", "tags[0].value", "set_tags", True]
    assert "not today" in err
    (run_id,) = server.runs
    assert len(server.points(run_id, "loss")) == 1


def test_a_run_that_is_refused_does_not_start(server: MemoryServer, tmp_path: Path) -> None:
    def refuse(request: ingest_pb2.IngestRequest) -> ingest_pb2.Refusal | None:
        if request.HasField("create_run"):
            return ingest_pb2.Refusal(code=5, field="create_run.experiment_id", message="no such experiment")
        return None

    server.refuse = refuse
    program = Program(
        server.uri,
        tmp_path,
        """
        try:
            rekam.start_run(experiment_id="77")
        except rekam.errors.RefusedRecords as error:
            print(error.field, rekam.active_run())
        """,
    )
    assert program.finish()[0].split() == ["create_run.experiment_id", "None"]


def test_forked_children_are_writers_of_the_same_run(server: MemoryServer, tmp_path: Path) -> None:
    program = Program(
        server.uri,
        tmp_path,
        """
        import multiprocessing

        def child(number):
            for step in range(500):
                rekam.log_metric("child", number, step=step)

        with rekam.start_run() as run:
            for step in range(500):
                rekam.log_metric("parent", 1.0, step=step)
            context = multiprocessing.get_context("fork")
            children = [context.Process(target=child, args=(number,)) for number in range(3)]
            for each in children:
                each.start()
            for step in range(500, 1000):
                rekam.log_metric("parent", 1.0, step=step)
            for each in children:
                each.join()
                assert each.exitcode == 0
        print(run.run_id)
        """,
    )
    out, _ = program.finish()
    run_id = out.strip()
    assert [step for step, _, _ in server.points(run_id, "parent")] == list(range(1000))
    for number in range(3):
        steps = [step for step, _, value in server.points(run_id, "child") if value == number]
        assert steps == list(range(500))
    assert len(server.writers(run_id)) == 4
    assert list(server.runs) == [run_id]
    # Only the parent ended it.
    assert server.updates[run_id].status == run_pb2.RUN_STATUS_FINISHED
    assert spools(tmp_path) == []


def test_a_child_forked_before_the_run_is_delivered_makes_it_too(tmp_path: Path) -> None:
    port = free_port()
    program = Program(
        f"grpc://127.0.0.1:{port}",
        tmp_path,
        """
        run = rekam.start_run()
        rekam.log_metric("parent", 1.0)
        pid = os.fork()
        if pid == 0:
            rekam.log_metric("child", 2.0)
            rekam.log_param("from", "child")
            rekam.flush()
            os._exit(0)
        print(run.run_id, flush=True)
        sys.stdin.readline()
        assert os.waitpid(pid, 0)[1] == 0
        rekam.flush()
        rekam.end_run()
        """,
        REKAM_CONNECT_TIMEOUT="0.2",
    )
    run_id = program.line()
    server = MemoryServer(f"127.0.0.1:{port}")
    try:
        program.go_on()
        program.finish()
        assert list(server.runs) == [run_id]
        assert [value for _, _, value in server.points(run_id, "parent")] == [1.0]
        assert [value for _, _, value in server.points(run_id, "child")] == [2.0]
        assert server.params[run_id] == {"from": "child"}
    finally:
        server.stop()


def test_a_program_that_just_ends_delivers_and_ends_its_run(server: MemoryServer, tmp_path: Path) -> None:
    out, _ = Program(
        server.uri, tmp_path, 'rekam.log_metric("loss", 1.0); print(rekam.active_run().run_id)'
    ).finish()
    run_id = out.strip()
    assert len(server.points(run_id, "loss")) == 1
    assert server.updates[run_id].status == run_pb2.RUN_STATUS_FINISHED
    assert spools(tmp_path) == []


@pytest.mark.parametrize(
    ("error", "status"),
    [("ValueError('no')", run_pb2.RUN_STATUS_FAILED), ("KeyboardInterrupt()", run_pb2.RUN_STATUS_KILLED)],
)
def test_a_run_whose_block_raises(
    server: MemoryServer, tmp_path: Path, error: str, status: run_pb2.RunStatus
) -> None:
    source = f"""
        try:
            with rekam.start_run():
                raise {error}
        except BaseException as error:
            print(repr(error))
        """
    assert Program(server.uri, tmp_path, source).finish()[0].strip() == error
    ((_, update),) = server.updates.items()
    assert update.status == status
    assert update.end_ms > 0


def test_many_ranks_and_threads_in_one_run(server: MemoryServer, tmp_path: Path) -> None:
    out, _ = Program(
        server.uri,
        tmp_path,
        """
        import threading
        with rekam.start_run(rank=0) as run:
            def work(number):
                for step in range(200):
                    rekam.log_metric(f"thread{number}", step, step=step)
            threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
            [each.start() for each in threads]
            [each.join() for each in threads]
        print(run.run_id)
        """,
    ).finish()
    run_id = out.strip()
    assert len(server.runs) == 1
    for number in range(4):
        assert len(server.points(run_id, f"thread{number}")) == 200
    ended = server.updates[run_id].end_ms
    ranks = [
        Program(
            server.uri,
            tmp_path,
            """
            with rekam.start_run():
                rekam.log_metric("rank", float(os.environ["RANK"]))
            """,
            REKAM_RUN_ID=run_id,
            RANK=str(rank),
        )
        for rank in (1, 2)
    ]
    for each in ranks:
        each.finish()
    assert sorted(value for _, _, value in server.points(run_id, "rank")) == [1.0, 2.0]
    found = {rank for frames in server.frames.values() for rank, _, _ in frames.values()}
    assert found == {0, 1, 2}
    assert server.updates[run_id].end_ms == ended


def test_nested_runs_and_params_that_change(server: MemoryServer, tmp_path: Path) -> None:
    out, _ = Program(
        server.uri,
        tmp_path,
        """
        with rekam.start_run() as outer:
            try:
                rekam.start_run()
            except rekam.errors.FailedPrecondition:
                print("one at a time")
            with rekam.start_run(nested=True) as inner:
                rekam.log_param("depth", 1)
            assert rekam.active_run() is outer
            rekam.log_param("depth", 0)
            rekam.log_param("depth", 0)
            try:
                rekam.log_param("depth", 2)
            except ValueError as error:
                print("Changing param values is not allowed" in str(error))
        print(outer.run_id, inner.run_id)
        """,
    ).finish()
    first, second, ids = out.splitlines()
    outer, inner = ids.split()
    assert (first, second) == ("one at a time", "True")
    assert server.tags[inner]["mlflow.parentRunId"] == outer
    assert server.params == {outer: {"depth": "0"}, inner: {"depth": "1"}}


def test_a_lost_frame_does_not_stop_those_behind_it(tmp_path: Path) -> None:
    """A damaged record leaves a gap that the stream is told of."""
    port = free_port()
    program = Program(
        f"grpc://127.0.0.1:{port}",
        tmp_path,
        """
        import pathlib
        run = rekam.start_run()
        for step in range(4):
            rekam.log_metric("loss", step, step=step)
            try:
                rekam.flush(timeout=0)   # ends a frame
            except rekam.errors.DeliveryTimeout:
                pass
        (segment,) = pathlib.Path(os.environ["REKAM_SPOOL_DIR"]).glob("*/*.spool")
        content = bytearray(segment.read_bytes())
        content[-30] ^= 1  # in the last of them
        with segment.open("r+b") as file:
            file.write(content)
        rekam.log_metric("loss", 4, step=4)
        print(run.run_id, flush=True)
        sys.stdin.readline()
        rekam.flush()
        rekam.end_run()
        """,
        REKAM_CONNECT_TIMEOUT="0.2",
    )
    run_id = program.line()
    server = MemoryServer(f"127.0.0.1:{port}")
    try:
        program.go_on()
        _, err = program.finish()
        assert "the spool is damaged" in err
        assert [step for step, _, _ in server.points(run_id, "loss")] == [0, 1, 2, 4]
    finally:
        server.stop()


def test_threads_have_their_own_runs(server: MemoryServer, tmp_path: Path) -> None:
    assert threading.active_count() >= 1
    out, _ = Program(
        server.uri,
        tmp_path,
        """
        import threading
        def trial(number):
            with rekam.start_run(run_name=f"trial {number}"):
                rekam.log_metric("number", number)
        threads = [threading.Thread(target=trial, args=(number,)) for number in range(3)]
        [each.start() for each in threads]
        [each.join() for each in threads]
        print(rekam.active_run())
        """,
    ).finish()
    assert out.strip() == "None"
    names = {server.runs[run_id].name: server.points(run_id, "number")[0][2] for run_id in server.runs}
    assert names == {"trial 0": 0.0, "trial 1": 1.0, "trial 2": 2.0}


def test_a_clock_that_jumps_an_hour_either_way_loses_and_stalls_nothing(
    server: MemoryServer, tmp_path: Path
) -> None:
    clock = JumpingClock(tmp_path)
    program = Program(
        server.uri,
        tmp_path / "spool",
        """
        with rekam.start_run() as run:
            print(run.run_id, flush=True)
            for jump in range(5):
                for step in range(jump * 200, (jump + 1) * 200):
                    rekam.log_metrics({"loss": step, "now": time.time()}, step=step)
                rekam.flush(20)
                print(time.time(), flush=True)
                sys.stdin.readline()
        """,
        directory=None,
        **clock.environ,
    )
    run_id = program.line()
    said = []
    for seconds in (3600, -3600, 0, -3600, 0):
        said.append(float(program.line()))
        clock.jump(seconds)
        program.go_on()
    program.finish()
    assert [round((after - before) / 3600) for before, after in pairwise(said)] == [1, -2, 1, -1]
    points = sorted(server.points(run_id, "loss"))
    assert [(step, value) for step, _, value in points] == [(step, float(step)) for step in range(1000)]
    # A point has the time that the clock showed; so steps go on while times may go back.
    now = {step: value for step, _, value in server.points(run_id, "now")}
    assert all(abs(time_us / 1e6 - now[step]) < 5 for step, time_us, _ in points)
    assert server.runs[run_id].start_ms <= server.updates[run_id].end_ms
    assert spools(tmp_path / "spool") == []


def test_a_run_does_not_end_before_it_started(server: MemoryServer, tmp_path: Path) -> None:
    clock = JumpingClock(tmp_path)
    program = Program(
        server.uri,
        tmp_path / "spool",
        """
        with rekam.start_run() as run:
            print(run.run_id, flush=True)
            sys.stdin.readline()
        """,
        directory=None,
        **clock.environ,
    )
    run_id = program.line()
    clock.jump(-3600)
    program.go_on()
    program.finish()
    started, ended = server.runs[run_id].start_ms, server.updates[run_id].end_ms
    assert 0 <= ended - started < 60_000


def test_a_call_is_tried_again_until_the_server_is_there(tmp_path: Path) -> None:
    port = free_port()
    program = Program(
        f"grpc://127.0.0.1:{port}",
        tmp_path,
        """
        print("asking", flush=True)
        print(rekam.Client().ensure_experiment("patient").experiment_id)
        """,
    )
    assert program.line() == "asking"
    # Nobody is there for longer than it says nothing.
    while "trying again for up to 60 s" not in (said := program.said()):
        assert "rekam.errors" not in said
    server = MemoryServer(f"127.0.0.1:{port}")
    try:
        assert program.finish()[0].strip() == "1"
    finally:
        server.stop()


def test_a_query_never_answers_without_what_this_process_logged(server: MemoryServer, tmp_path: Path) -> None:
    program = Program(
        server.uri,
        tmp_path,
        """
        run = rekam.start_run()
        print(run.run_id, flush=True)
        sys.stdin.readline()
        rekam.log_param("late", 1)
        try:
            rekam.Client(retry_timeout=0.5).get_run(run.run_id)
        except rekam.errors.DeliveryTimeout as error:
            print("not yet", flush=True)
        rekam.Client(consistency="eventual").get_run(run.run_id)
        sys.stdin.readline()
        print(rekam.get_run(run.run_id).data.params)
        """,
    )
    program.line()
    server.hold()
    program.go_on()
    assert program.line() == "not yet"
    server.release()
    program.go_on()
    assert program.line() == "{'late': '1'}"
    program.finish()
