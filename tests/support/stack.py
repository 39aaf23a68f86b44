"""`rekam up` as a program under test: its output, its exit, its processes."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import grpc
import psutil

from rekam_proto.local.v1 import local_pb2, local_pb2_grpc

REKAM = str(Path(sys.executable).with_name("rekam"))
_Value = TypeVar("_Value")


def rekam(*arguments: str | Path, timeout_s: float = 60.0) -> subprocess.CompletedProcess[str]:
    """Run a command of `rekam` to its end."""
    command = [REKAM, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False)


def up_refused(data: Path, *arguments: str) -> str:
    """What `rekam up` says when it does not start."""
    free = () if "--http" in arguments else ("--http", "127.0.0.1:0")
    done = rekam("up", "--data", data, *free, "--grpc", "127.0.0.1:0", *arguments)
    assert done.returncode == 1, done.stderr
    assert done.stdout == ""
    return done.stderr


def until(what: str, check: Callable[[], _Value | None], deadline_s: float = 120.0) -> _Value:
    """The first answer of `check` that is true."""
    deadline = time.monotonic() + deadline_s
    while True:
        value = check()
        if value:
            return value
        assert time.monotonic() < deadline, f"not within {deadline_s:g} s: {what}"
        time.sleep(0.05)


def described(target: str) -> local_pb2.DescribeResponse:
    """The stack as it describes itself."""
    with grpc.insecure_channel(target) as channel:
        stub = local_pb2_grpc.LocalStackServiceStub(channel)
        return stub.Describe(local_pb2.DescribeRequest(), timeout=60)


def family(pid: int) -> list[psutil.Process]:
    """A supervisor and everything under it."""
    supervisor = psutil.Process(pid)
    return [supervisor, *supervisor.children(recursive=True)]


def none_alive(processes: Iterable[psutil.Process]) -> bool:
    """Whether all have ended; one that only waits to be reaped has."""
    return not any(_alive(process) for process in processes)


def running_in(directory: Path) -> list[str]:
    """Processes that work in a directory or below it: a stack's all do."""
    found = []
    for process in psutil.process_iter():
        try:
            if Path(process.cwd()).is_relative_to(directory):
                found.append(repr(process))
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def _alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def connections(processes: Iterable[psutil.Process]) -> list[Any]:
    """Internet sockets of processes."""
    return [connection for process in processes for connection in process.net_connections(kind="inet")]
