"""Memory of a stack's processes, watched against what each may take."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from tests.support.faults import Faults

EVERY_S = 0.5
# MB. What they take when they idle, and what their buffers may hold: 64 MiB of points and 96 MiB of files
# on their way in a gateway; batches of 16 MiB, and as much fetched ahead, in a projector; for NATS and
# SeaweedFS what their collectors are told; 128 MB of shared buffers and some connections in Postgres.
BOUNDS_MB = {
    "gateway": 350,
    "tracking-serve": 200,
    "tracking-project": 300,
    "archive": 300,
    "artifacts-serve": 200,
    "artifacts-project": 200,
    "registry-serve": 200,
    "registry-project": 200,
    "nats": 300,
    "postgres": 600,
    "seaweed": 700,
}


def bound_of(name: str) -> int:
    """Of a process; `gateway-2` has that of `gateway`."""
    return next(bound for kind, bound in BOUNDS_MB.items() if name == kind or name.startswith(f"{kind}-"))


class Memory:
    """greatest: MB seen of each process."""

    def __init__(self) -> None:
        self.greatest: dict[str, float] = {}

    def look(self, faults: Faults) -> None:
        for name, pid in faults.pids().items():
            megabytes = _resident(pid) / 1e6
            self.greatest[name] = max(self.greatest.get(name, 0.0), megabytes)

    def beyond(self) -> dict[str, float]:
        """Processes that took more than they may."""
        return {name: seen for name, seen in self.greatest.items() if seen > bound_of(name)}


@contextmanager
def watched_memory(faults: Faults) -> Iterator[Memory]:
    """Look while the block runs; no process may have passed its bound."""
    memory = Memory()
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(EVERY_S):
            memory.look(faults)

    watching = threading.Thread(target=watch, daemon=True)
    watching.start()
    try:
        yield memory
    finally:
        stop.set()
        watching.join()
    assert memory.beyond() == {}


def _resident(pid: int) -> int:
    """Of a process and its children; pages that they share are counted with the first."""
    total = 0
    try:
        process = psutil.Process(pid)
        for member in (process, *process.children(recursive=True)):
            memory = member.memory_info()
            total += memory.rss if member is process else memory.rss - memory.shared
    except psutil.NoSuchProcess:
        pass  # killed, or ended, meanwhile
    return total
