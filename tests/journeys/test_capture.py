"""What a run records by itself: programs that print, crash, fork and are killed; code in git; the machine."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from rekam_proto.tracking.v1 import run_pb2
from tests.support.memory_server import MemoryServer
from tests.support.programs import Program


@pytest.fixture
def server() -> Iterator[MemoryServer]:
    server = MemoryServer()
    yield server
    server.stop()


def test_what_a_program_writes_is_written_and_recorded(server: MemoryServer, tmp_path: Path) -> None:
    out, err = Program(
        server.uri,
        tmp_path,
        """
        import logging
        logging.basicConfig(format="%(message)s")  # holds on to sys.stderr
        before = sys.stdout, sys.stdout.write, sys.stdout.isatty(), sys.stdout.fileno()
        print("before the run")
        with rekam.start_run() as run:
            print("hello", "world")
            print("no newline", end="")
            print()
            sys.stdout.writelines(["a\\n", "b\\n"])
            logging.warning("a warning")
            for percent in range(0, 101, 10):
                print(f"\\r{percent}%", end="", file=sys.stderr)
            print(file=sys.stderr)
            print("\\x1b[31mred\\x1b[0m")
            assert (sys.stdout.isatty(), sys.stdout.fileno()) == before[2:]
        assert (sys.stdout, sys.stdout.write) == before[:2]
        assert "write" not in vars(sys.stderr)
        print("after the run")
        print(run.run_id)
        """,
    ).finish()
    *written, run_id = out.splitlines()
    lines = ["hello world", "no newline", "a", "b", "\x1b[31mred\x1b[0m"]
    assert written == ["before the run", *lines, "after the run"]
    assert server.lines(run_id, "stdout") == lines
    assert server.lines(run_id, "stderr") == ["a warning", "100%"]
    assert "a warning" in err


def test_times_are_those_of_the_writes(server: MemoryServer, tmp_path: Path) -> None:
    out, _ = Program(
        server.uri,
        tmp_path,
        """
        with rekam.start_run():
            times = [time.time_ns() // 1000]
            for _ in range(3):
                print("line")
                times.append(time.time_ns() // 1000)
        print(json.dumps(times))
        """,
    ).finish()
    first, *later = [int(each) for each in out.splitlines()[-1].strip("[]").split(",")]
    found = [time for texts in server.texts.values() for text in texts.values() if text.stream == "stdout"
             for time in text.times_us]  # fmt: skip
    for before, time, after in zip([first, *later], found, later, strict=False):
        assert before <= time <= after


@pytest.mark.parametrize("block", [True, False])
def test_a_run_that_crashes_shows_why(server: MemoryServer, tmp_path: Path, block: bool) -> None:
    start = "with rekam.start_run():" if block else "rekam.start_run()\nif True:"
    program = Program(
        server.uri,
        tmp_path,
        f"""
def train():
    raise ValueError("the loss is not finite")

{start}
    print("epoch 1")
    train()
""",
    )
    _, err = program.process.communicate(timeout=60)
    assert program.process.returncode == 1
    ((run_id, update),) = server.updates.items()
    assert update.status == run_pb2.RUN_STATUS_FAILED
    assert server.lines(run_id, "stdout") == ["epoch 1"]
    recorded = server.lines(run_id, "stderr")
    assert recorded[0] == "Traceback (most recent call last):"
    assert any("in train" in line for line in recorded)
    assert recorded[-1] == "ValueError: the loss is not finite"
    # It is said to people once, by the interpreter.
    assert err.count("Traceback") == 1


def test_a_killed_program_has_what_it_wrote_before(server: MemoryServer, tmp_path: Path) -> None:
    program = Program(
        server.uri,
        tmp_path,
        """
        run = rekam.start_run()
        for number in range(1000):
            print("line", number, file=sys.stderr)
        print(run.run_id, flush=True)
        sys.stdin.readline()
        """,
    )
    run_id = program.line()
    server.wait_for(lambda: len(server.lines(run_id, "stderr")) == 1000)
    program.process.send_signal(signal.SIGKILL)
    program.process.communicate()
    assert server.lines(run_id, "stderr") == [f"line {number}" for number in range(1000)]


def test_output_belongs_to_the_run_its_thread_is_in(server: MemoryServer, tmp_path: Path) -> None:
    Program(
        server.uri,
        tmp_path,
        """
        import threading
        with rekam.start_run(run_name="outer"):
            print("outer begins")
            with rekam.start_run(run_name="inner", nested=True):
                print("inner")
                helper = threading.Thread(target=lambda: print("a thread of inner"))
                helper.start()
                helper.join()
            with rekam.start_run(run_name="quiet", nested=True, capture_console=False):
                print("not recorded")
            def trial():
                with rekam.start_run(run_name="thread"):
                    print("thread")
            threads = [threading.Thread(target=trial)]
            [each.start() for each in threads]
            [each.join() for each in threads]
            print("outer ends")
        """,
    ).finish()
    found = {run.name: server.lines(run_id, "stdout") for run_id, run in server.runs.items()}
    assert found == {
        "outer": ["outer begins", "outer ends"],
        "inner": ["inner", "a thread of inner"],
        "quiet": [],
        "thread": ["thread"],
    }


def test_streams_that_others_replace_and_wrap(server: MemoryServer, tmp_path: Path) -> None:
    out, _ = Program(
        server.uri,
        tmp_path,
        """
        import contextlib, io
        with rekam.start_run() as run:
            print("one")
            with contextlib.redirect_stdout(io.StringIO()) as elsewhere:
                print("elsewhere")
            # Another library wraps on top of us and stays longer.
            write = sys.stdout.write
            sys.stdout.write = lambda text: write(text.upper())
            print("two")
        print("three")
        with rekam.start_run() as second:
            print("four")
        print(run.run_id, second.run_id)
        """,
    ).finish()
    *lines, ids = out.splitlines()
    first, second = ids.lower().split()
    assert lines == ["one", "TWO", "THREE", "FOUR"]
    assert server.lines(first, "stdout") == ["one", "TWO"]
    assert server.lines(second, "stdout") == ["four"]


def test_a_forked_childs_output_is_its_own(server: MemoryServer, tmp_path: Path) -> None:
    program = Program(
        server.uri,
        tmp_path,
        """
        import signal
        with rekam.start_run(run_name="parent") as run:
            print("parent", flush=True)
            pid = os.fork()
            if pid == 0:
                print("child", flush=True)
                rekam.start_run(run_name="child", nested=True)
                print("child's run", flush=True)
                signal.pause()
            sys.stdin.readline()
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            print("parent again")
        """,
    )

    def lines() -> dict[str, list[str]]:
        return {run.name: server.lines(run_id, "stdout") for run_id, run in list(server.runs.items())}

    # It was killed: what it had written was recorded before.
    server.wait_for(lambda: lines().get("child") == ["child's run"])
    program.go_on()
    program.finish()
    assert lines() == {"parent": ["parent", "parent again"], "child": ["child's run"]}


def test_switched_off_nothing_is_recorded(server: MemoryServer, tmp_path: Path) -> None:
    Program(
        server.uri,
        tmp_path,
        """
        with rekam.start_run():
            print("hello")
            rekam.log_metric("loss", 1.0)
            time.sleep(0.5)
        """,
        REKAM_CONSOLE="0",
        REKAM_GIT="0",
        REKAM_SYSTEM_METRICS="0",
        REKAM_SYSTEM_METRICS_SECONDS="0.1",
    ).finish()
    assert server.texts == {}
    ((run_id, _),) = server.runs.items()
    assert not any("git" in key for key in server.tags[run_id])
    keys = {key for frames in server.frames.values() for _, keys, _ in frames.values() for key in keys}
    assert keys == {"loss"}


def test_a_flood_of_output_is_cut_and_its_end_is_there(server: MemoryServer, tmp_path: Path) -> None:
    out, _ = Program(
        server.uri,
        tmp_path,
        """
        with rekam.start_run():
            for number in range(200_000):
                print("line", number)
        """,
        REKAM_CONSOLE_BYTES="100000",
    ).finish()
    assert len(out.splitlines()) == 200_000
    (run_id,) = server.runs
    lines = server.lines(run_id, "stdout")
    (cut,) = [at for at, line in enumerate(lines) if "REKAM_CONSOLE_BYTES=100000" in line]
    assert lines[:cut] == [f"line {number}" for number in range(cut)]
    assert lines[-1] == "line 199999"
    assert sum(map(len, lines)) < 200_000


def test_what_is_sent_again_is_stored_once(server: MemoryServer, tmp_path: Path) -> None:
    program = Program(
        server.uri,
        tmp_path,
        """
        import threading
        stop = threading.Event()
        threading.Thread(target=lambda: (sys.stdin.readline(), stop.set()), daemon=True).start()
        run = rekam.start_run()
        print(run.run_id, flush=True)
        step = 0
        while not stop.wait(0.005):  # slow: nobody empties the pipe meanwhile
            sys.stderr.write(f"line {step}\\n")  # whole: the SDK's warnings come in between
            rekam.log_metric("loss", step, step=step)
            step += 1
        rekam.end_run()
        print(step)
        """,
        REKAM_FLUSH_INTERVAL="0.01",
    )
    run_id = program.line()
    for breaks in range(1, 4):
        seen = server.received_frames
        server.wait_for(lambda seen=seen: server.received_frames > seen + 2)  # type: ignore[misc]
        server.break_streams()
        server.wait_for(lambda breaks=breaks: server.streams > breaks)  # type: ignore[misc]
    program.go_on()
    steps = range(int(program.finish()[0]))
    assert [step for step, _, _ in server.points(run_id, "loss")] == list(steps)
    lines = [line for line in server.lines(run_id, "stderr") if line.startswith("line ")]
    assert lines == [f"line {step}" for step in steps]


def test_the_codes_commit_and_diff_are_recorded(server: MemoryServer, tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    repository.mkdir()

    def git(*arguments: str) -> str:
        identity = ["-c", "user.name=Ann", "-c", "user.email=ann@example.org", "-c", "commit.gpgsign=false"]
        done = subprocess.run(["git", *identity, *arguments], cwd=repository, check=True, capture_output=True)
        return done.stdout.decode().strip()

    (repository / "model.py").write_text("depth = 5\n")
    git("init", "--quiet", "--initial-branch=main")
    git("remote", "add", "origin", "https://ann:secret@example.org/team/code.git")
    git("add", ".")
    git("commit", "--quiet", "-m", "first")
    (repository / "model.py").write_text("depth = 6\n")
    source = "with rekam.start_run(rank=int(os.environ.get('RANK', '0'))) as run: print(run.run_id)"
    run_id = Program(server.uri, tmp_path / "spool", source, directory=repository).finish()[0].strip()
    tags = server.tags[run_id]
    assert tags["mlflow.source.git.commit"] == git("rev-parse", "HEAD")
    assert tags["mlflow.source.git.branch"] == "main"
    assert tags["mlflow.source.git.repoURL"] == "https://example.org/team/code.git"
    assert tags["rekam.git.dirty"] == "true"
    assert server.lines(run_id, "git.diff")[-2:] == ["-depth = 5", "+depth = 6"]
    # Ranks above 0, and whoever resumes a run, leave it alone.
    for environ in ({"RANK": "1", "REKAM_RUN_ID": run_id}, {"REKAM_RUN_ID": run_id}):
        Program(server.uri, tmp_path / "spool", source, directory=repository, **environ).finish()
    assert len(server.lines(run_id, "git.diff")) == len(git("diff", "HEAD").splitlines())


def test_the_machine_is_sampled_by_every_rank(server: MemoryServer, tmp_path: Path) -> None:
    first = Program(
        server.uri,
        tmp_path,
        """
        rekam.disable_system_metrics_logging()
        rekam.set_system_metrics_sampling_interval(0.1)
        with rekam.start_run(rank=0, log_system_metrics=True) as run:
            print(run.run_id, flush=True)
            sys.stdin.readline()
        """,
    )
    run_id = first.line()
    second = Program(
        server.uri,
        tmp_path,
        "with rekam.start_run(): sys.stdin.readline()",
        REKAM_RUN_ID=run_id,
        RANK="1",
        REKAM_SYSTEM_METRICS_SECONDS="0.1",
    )

    def samples() -> list[list[int]]:
        """Steps of each writer."""
        return [
            [step for _, _, frame in frames.values() for step in frame.steps]
            for frames in map(dict, list(server.frames.values()))
        ]

    server.wait_for(lambda: len(samples()) == 2 and all(len(steps) >= 2 for steps in samples()))
    for program in (first, second):
        program.go_on()
        program.finish()
    ranks = {rank for frames in server.frames.values() for rank, _, _ in frames.values()}
    assert ranks == {0, 1}
    assert all(steps == list(range(len(steps))) for steps in samples())
    busy = server.points(run_id, "system/cpu_utilization_percentage")
    assert all(0 <= value <= 100 for _, _, value in busy)
    assert server.points(run_id, "system/process_memory_usage_megabytes")[0][2] > 10


def test_children_forked_at_once_hold_nothing_up(server: MemoryServer, tmp_path: Path) -> None:
    """A child that lives on has no end of a pipe that git's answers come through."""
    Program(
        server.uri,
        tmp_path,
        """
        import signal, threading
        for _ in range(10):
            with rekam.start_run() as run:
                children = []
                for _ in range(5):
                    children.append(os.fork())
                    if children[-1] == 0:
                        signal.pause()
            assert "rekam-git" not in [thread.name for thread in threading.enumerate()]
            for child in children:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
        """,
        directory=Path(__file__).parent,
    ).finish()


def test_what_c_code_subprocesses_and_children_write_is_recorded_below(
    server: MemoryServer, tmp_path: Path
) -> None:
    out, err = Program(
        server.uri,
        tmp_path,
        """
        import ctypes, subprocess
        print("before", flush=True)
        with rekam.start_run(capture_console="fd") as run:
            print("python")
            sys.stdout.flush()
            libc = ctypes.CDLL(None)
            libc.puts(b"c code")
            libc.fflush(None)
            subprocess.run(["sh", "-c", "echo subprocess; echo grief >&2"], check=True)
            os.write(1, "half a character: \\u20ac\\n".encode()[:19])
            time.sleep(0.2)
            os.write(1, "half a character: \\u20ac\\n".encode()[19:])
            pid = os.fork()
            if pid == 0:
                os.write(1, b"child\\n")
                os._exit(0)
            os.waitpid(pid, 0)
            with rekam.start_run(nested=True) as inner:
                print("inner", flush=True)
            # One that lives on does not hold up the end of the run.
            left = subprocess.Popen(["sh", "-c", "read line; echo later"], stdin=subprocess.PIPE)
            print("last")
        print("after", flush=True)
        left.communicate(b"go")
        print(run.run_id, inner.run_id, flush=True)
        """,
    ).finish()
    # What the one that lives on writes goes its own way.
    *written, ids = [line for line in out.splitlines() if line != "later"]
    assert "later" in out
    run_id, inner = ids.split()
    lines = ["python", "c code", "subprocess", "half a character: €", "child", "inner", "last"]
    assert written == ["before", *lines, "after"]
    assert err.strip() == "grief"
    assert server.lines(run_id, "stdout") == lines
    assert server.lines(run_id, "stderr") == ["grief"]
    assert server.lines(inner, "stdout") == ["inner"]


@pytest.mark.parametrize("mode", ["on", "fd"])
def test_a_killed_program_loses_none_of_its_output(server: MemoryServer, tmp_path: Path, mode: str) -> None:
    program = Program(
        server.uri,
        tmp_path,
        """
        rekam.start_run()
        for number in range(10_000):
            os.write(1, b"line %d\\n" % number)
        os.kill(os.getpid(), 9)
        """,
        REKAM_CONSOLE=mode,
    )
    out, _ = program.process.communicate(timeout=60)
    assert out.splitlines() == [f"line {number}" for number in range(10_000)]


def test_an_interrupt_from_the_keyboard_is_for_the_program(server: MemoryServer, tmp_path: Path) -> None:
    out, _ = Program(
        server.uri,
        tmp_path,
        """
        import signal
        signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in the background
        os.setpgrp()
        with rekam.start_run(capture_console="fd") as run:
            try:
                os.killpg(0, signal.SIGINT)
                time.sleep(20)
            except KeyboardInterrupt:
                print("interrupted", flush=True)
        print(run.run_id)
        """,
    ).finish()
    said, run_id = out.splitlines()
    assert said == "interrupted"
    assert server.lines(run_id, "stdout") == ["interrupted"]


def test_a_terminal_that_is_slow_does_not_lose_what_is_recorded(server: MemoryServer, tmp_path: Path) -> None:
    program = Program(
        server.uri,
        tmp_path,
        """
        with rekam.start_run(capture_console="fd"):
            for number in range(20_000):
                os.write(1, b"line %d\\n" % number)
        """,
    )
    (run_id,) = _first(server)
    out, _ = program.finish()
    assert out.splitlines() == [f"line {number}" for number in range(20_000)]
    assert server.lines(run_id, "stdout") == out.splitlines()


def _first(server: MemoryServer) -> list[str]:
    server.wait_for(lambda: bool(server.runs))
    return list(server.runs)
