"""What befalls a stack's processes: killed, stopped in their tracks, gone for a while."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import grpc
import psutil

from rekam.testing import LocalStack
from rekam_proto.local.v1 import local_pb2, local_pb2_grpc
from tests.support.stack import until

RECOVERY_S = 120.0
_Answer = TypeVar("_Answer")


class Faults:
    """Does it to one stack, found by its directory: no gateway is needed."""

    def __init__(self, stack: LocalStack) -> None:
        assert stack.data is not None
        assert stack.pid is not None
        self._state = stack.data / "state.json"
        self._supervisor = stack.pid

    def pids(self) -> dict[str, int]:
        """Processes by name."""
        return {each["name"]: each["pid"] for each in json.loads(self._state.read_text())["processes"]}

    def described(self) -> list[local_pb2.Process]:
        """Every process as `rekam status` shows it."""
        target = json.loads(self._state.read_text())["control"]
        with grpc.insecure_channel(target) as channel:
            control = local_pb2_grpc.LocalStackServiceStub(channel)
            return list(control.Describe(local_pb2.DescribeRequest(), timeout=RECOVERY_S).processes)

    def kill(self, *names: str) -> None:
        """`kill -9`; the supervisor starts them again."""
        self.send(signal.SIGKILL, *names)

    def send(self, number: signal.Signals, *names: str) -> None:
        pids = self.pids()
        for name in names:
            os.kill(pids[name], number)

    @contextmanager
    def frozen(self, *names: str) -> Iterator[None]:
        """Processes that stand still, their connections open: what a cut network looks like."""
        pids = self.pids()
        frozen = [process for name in names for process in _family(pids[name])]
        for process in frozen:
            process.suspend()
        try:
            yield
        finally:
            for process in frozen:
                process.resume()

    @contextmanager
    def gone(self, *names: str) -> Iterator[None]:
        """Processes that are dead until the block ends: who would start them again stands still."""
        os.kill(self._supervisor, signal.SIGSTOP)
        try:
            self.kill(*names)
            yield
        finally:
            os.kill(self._supervisor, signal.SIGCONT)

    def all_ready(self, restarted: dict[str, int] | None = None) -> None:
        """Wait until every process is ready, and those are not what they were (pids by name)."""
        before = restarted or {}

        def ready() -> bool:
            return all(each.ready and each.pid != before.get(each.name) for each in self.described())

        until("every process is ready", ready, RECOVERY_S)


def _family(pid: int) -> list[psutil.Process]:
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def persistently(call: Callable[[], _Answer]) -> _Answer:
    """The answer, however often the call has to be sent."""
    deadline = time.monotonic() + RECOVERY_S
    while True:
        try:
            return call()
        except grpc.RpcError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
