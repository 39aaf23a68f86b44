"""A stack of its own for the bench, and what its processes weigh."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import grpc
import psutil

from rekam_proto.local.v1 import local_pb2, local_pb2_grpc

MIB = 1024 * 1024
SAMPLE_SECONDS = 0.5


# By "before", "greatest" and "after", then by process.
Resident = Mapping[str, Mapping[str, float]]


@dataclass
class Memory:
    """Resident MiB of each process: before the work, greatest while it ran, after."""

    before: dict[str, float] = field(default_factory=dict)
    greatest: dict[str, float] = field(default_factory=dict)
    after: dict[str, float] = field(default_factory=dict)
    # Every sample: seconds since the work began, and what was seen.
    samples: list[tuple[float, dict[str, float]]] = field(default_factory=list, repr=False)

    def resident_mib(self) -> Resident:
        return {"before": self.before, "greatest": self.greatest, "after": self.after}

    def growth_percent(self, start_s: float, end_s: float) -> dict[str, float]:
        """How much more each process has in the second half of this time than in the first, medians."""
        middle = (start_s + end_s) / 2
        halves = [
            [sample for at, sample in self.samples if first <= at < last]
            for first, last in ((start_s, middle), (middle, end_s))
        ]
        return {
            name: 100 * (median(sample[name] for sample in halves[1]) / before - 1)
            for name in self.before
            if (before := median(sample[name] for sample in halves[0]))
        }


class Stack:
    """A running stack: its addresses, its processes, reset."""

    def __init__(self, data: Path, http: str, target: str) -> None:
        self.data = data
        self.http = http
        self.target = target
        options = [("grpc.max_receive_message_length", 64 * MIB)]
        self.channel = grpc.insecure_channel(target, options=options)
        self._local = local_pb2_grpc.LocalStackServiceStub(self.channel)

    def reset(self) -> float:
        """Empty the stack; returns the seconds it took."""
        response = self._local.Reset(local_pb2.ResetRequest(), timeout=60)
        return response.milliseconds / 1000

    def environment(self, process: str) -> dict[str, str]:
        """The environment of one of the stack's processes, with the addresses of the parts."""
        return psutil.Process(self.pid(process)).environ()

    def pid(self, process: str) -> int:
        processes = self._local.Describe(local_pb2.DescribeRequest(), timeout=10).processes
        (pid,) = (one.pid for one in processes if one.name == process)
        return pid

    def resident_mib(self) -> dict[str, float]:
        processes = self._local.Describe(local_pb2.DescribeRequest(), timeout=10).processes
        return {process.name: process.resident_bytes / MIB for process in processes}

    @contextmanager
    def watched_memory(self) -> Iterator[Memory]:
        """Sample every process while the block runs."""
        memory = Memory(before=self.resident_mib())
        stop = threading.Event()
        began = time.monotonic()

        def sample() -> None:
            while not stop.wait(SAMPLE_SECONDS):
                seen = self.resident_mib()
                memory.samples.append((time.monotonic() - began, seen))
                for name, mib in seen.items():
                    memory.greatest[name] = max(memory.greatest.get(name, 0.0), mib)

        sampler = threading.Thread(target=sample, daemon=True)
        sampler.start()
        try:
            yield memory
        finally:
            stop.set()
            sampler.join()
            memory.after = self.resident_mib()


def end_in_order() -> None:
    """A SIGTERM ends the program as an exception does: what it started is stopped."""
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))


@contextmanager
def running_stack(*arguments: str) -> Iterator[Stack]:
    """`rekam up` on a new directory and free ports, stopped and removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="rekam-bench-") as folder:
        command = [str(Path(sys.executable).with_name("rekam")), "up", "--data", folder]
        command += ["--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", *arguments]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            assert process.stdout is not None
            ready = process.stdout.readline().split()
            if not ready or ready[0] != "ready":
                raise RuntimeError(f"the stack did not start: exit status {process.wait()}")
            addresses = dict(part.split("=", 1) for part in ready[1:])
            stack = Stack(Path(folder), addresses["http"], addresses["grpc"])
            yield stack
            stack.channel.close()
        finally:
            process.terminate()
            process.wait(30)
