"""Ends processes of an earlier stack on the same directory whose supervisor was killed.

On Linux the kernel has sent them their signal already, and this only waits until they are
gone: a new server would find the old one's files locked. Elsewhere it ends them. A process
is known by pid and time of birth, for a pid alone may be someone else's by now.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

import psutil

_GRACE_S = 3.0


def birth_of(pid: int) -> float | None:
    """When the process was created; None when it is gone."""
    try:
        return psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        return None


async def end_leftovers(state: dict[str, Any] | None) -> int:
    """Wait for, then kill, what the state file names and is still alive; how many there were."""
    if state is None:
        return 0
    alive: list[psutil.Process] = []
    for entry in state.get("processes", []):
        try:
            process = psutil.Process(int(entry["pid"]))
            # Clocks are adjusted; a process that took over the pid is much younger.
            if abs(process.create_time() - float(entry["born"])) < 1.0:
                alive += [process, *process.children(recursive=True)]
        except psutil.NoSuchProcess:
            continue
    found = len(alive)
    deadline = time.monotonic() + _GRACE_S
    while alive and time.monotonic() < deadline:
        alive = [process for process in alive if _lives(process)]
        await asyncio.sleep(0.05 if alive else 0)
    for process in alive:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            pass  # gone meanwhile, as wanted
    await asyncio.to_thread(psutil.wait_procs, alive, 5.0)
    return found


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
