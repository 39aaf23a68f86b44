"""How a process ends: real processes, real signals."""

from __future__ import annotations

import gc
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator

import pytest

from rekam_runtime.process import settle

START = """
import asyncio, sys
from dataclasses import dataclass
from rekam_runtime.errors import FailedPrecondition
from rekam_runtime.process import run, settle, until
from rekam_runtime.settings import load, setting
from rekam_runtime.telemetry import configure_logging

configure_logging("test", "serve")

def say(text):
    print(text, flush=True)

@dataclass(frozen=True)
class Settings:
    url: str = setting("REKAM_URL")
    port: int = setting("REKAM_PORT")
"""
Start = Callable[[str], "subprocess.Popen[str]"]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a process with this body of `main(stop)`."""
    processes: list[subprocess.Popen[str]] = []

    def begin(body: str, drain_s: float = 60) -> subprocess.Popen[str]:
        main = f"async def main(stop):\n{textwrap.indent(textwrap.dedent(body), '    ')}\n"
        process = subprocess.Popen(
            [sys.executable, "-c", f"{START}\n{main}\nrun(main, drain_s={drain_s})"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        return process

    yield begin
    for process in processes:
        process.kill()
        process.communicate()


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=30)
    return process.returncode, out, err


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_it_finish(start: Start, number: signal.Signals) -> None:
    process = start(
        """
        say("ready")
        await stop.wait()
        say("drained")
        """
    )
    assert line(process) == "ready"
    process.send_signal(number)
    status, out, err = ended(process)
    assert (status, out) == (0, "drained\n")
    assert f'"signal": "{number.name}"' in err


def test_work_that_is_done_ends_it(start: Start) -> None:
    assert ended(start("say('migrated')"))[:2] == (0, "migrated\n")


def test_a_second_signal_does_not_wait(start: Start) -> None:
    process = start(
        """
        say("ready")
        await stop.wait()
        say("draining")
        await asyncio.Event().wait()
        """
    )
    assert line(process) == "ready"
    process.send_signal(signal.SIGTERM)
    assert line(process) == "draining"
    process.send_signal(signal.SIGTERM)
    status, _, err = ended(process)
    assert status == 1
    assert "did not stop" in err


def test_draining_has_a_bound(start: Start) -> None:
    process = start(  # type: ignore[call-arg]
        """
        say("ready")
        await asyncio.Event().wait()
        """,
        drain_s=0.1,
    )
    assert line(process) == "ready"
    process.send_signal(signal.SIGTERM)
    assert ended(process)[0] == 1


def test_a_known_error_is_one_line(start: Start) -> None:
    status, _, err = ended(start("raise FailedPrecondition('cannot listen on 127.0.0.1:1')"))
    assert status == 1
    (only,) = err.splitlines()
    assert '"event": "process.failed"' in only
    assert '"error": "cannot listen on 127.0.0.1:1"' in only


def test_a_bug_is_one_line_too(start: Start) -> None:
    status, _, err = ended(start("raise KeyError('x')"))
    assert status == 1
    (only,) = err.splitlines()
    assert "KeyError" in only and "Traceback" in only


def test_wrong_settings_are_told_all_at_once(start: Start) -> None:
    status, _, err = ended(start("load(Settings, {'REKAM_PORT': 'x'})"))
    assert status == 2
    assert err.splitlines() == [
        "The settings are wrong:",
        "REKAM_URL is required",
        "REKAM_PORT must be a whole number, not 'x'",
    ]


def test_work_that_ends_by_itself_is_a_failure(start: Start) -> None:
    status, _, err = ended(
        start(
            """
            async def work():
                return

            await until(stop, asyncio.create_task(work(), name="projector of REKAM_POINTS_0"))
            """
        )
    )
    assert status == 1
    assert "projector of REKAM_POINTS_0 ended by itself" in err


def test_what_was_built_is_not_looked_through_again(start: Start) -> None:
    process = start("""
    import gc
    looked_through = len(gc.get_objects())
    settle()
    say(gc.get_freeze_count() > 0.9 * looked_through > 0)
    say(len(gc.get_objects()) < 0.1 * looked_through)
    """)
    out, err = process.communicate(timeout=30)
    assert (out.split(), process.returncode) == (["True", "True"], 0), err


def test_other_programs_collect_as_they_did() -> None:
    before = gc.get_freeze_count(), gc.get_threshold()
    settle()
    assert (gc.get_freeze_count(), gc.get_threshold()) == before
