"""Log lines: what is in them and what never is."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from rekam_runtime.settings import Secret
from rekam_runtime.telemetry import configure_logging


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


def test_a_line_says_who_wrote_it(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("tracking", "serve")
    structlog.get_logger("test").info("run.created", run_id="ab", name="Größe")
    logging.getLogger("a.library").warning("careful: %s", "thin ice")
    ours, library = map(json.loads, capsys.readouterr().err.splitlines())
    assert ours.pop("timestamp").endswith("Z")
    assert ours == {
        "event": "run.created",
        "level": "info",
        "service": "tracking",
        "role": "serve",
        "pid": os.getpid(),
        "run_id": "ab",
        "name": "Größe",
    }
    assert (library["event"], library["level"], library["role"]) == (
        "careful: thin ice",
        "warning",
        "serve",
    )


def test_a_level_hides_what_is_below(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("tracking", "serve", level="warning")
    structlog.get_logger("test").info("quiet")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("fmt", ["json", "console"])
def test_nothing_secret_gets_out(capsys: pytest.CaptureFixture[str], fmt: str) -> None:
    configure_logging("tracking", "serve", fmt=fmt)
    url = "nats://rekam:hunter2@127.0.0.1:4222"
    try:
        raise OSError(f"cannot reach {url}")
    except OSError as error:
        structlog.get_logger("test").error("failed", url=url, secret=Secret("hunter2"), exc_info=error)
        logging.getLogger("a.library").error("lost %s", url, exc_info=error)
    written = capsys.readouterr().err
    assert "hunter2" not in written
    assert "nats://***@127.0.0.1:4222" in written
    assert "Secret(***)" in written


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is always full")
def test_a_line_that_cannot_be_written_ends_nothing() -> None:
    program = """
import logging, sys, structlog
from rekam_runtime.telemetry import configure_logging
configure_logging("tracking", "serve")
for _ in range(3):
    structlog.get_logger("test").error("the disk is full")
    logging.getLogger("a.library").error("the disk is full")
sys.stdout.write("goes on")
"""
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=full, text=True, check=False
        )
    assert (done.stdout, done.returncode) == ("goes on", 0)
