"""A service process: one event loop, told to stop by SIGTERM or SIGINT, with a useful exit status.

0  it did what it had to, or stopped when told to
1  it failed, said why in one line of its log, and may be started again
2  its settings are wrong: starting it again changes nothing
"""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import NoReturn

import structlog
import uvloop

from rekam_runtime.errors import RekamError
from rekam_runtime.settings import SettingsError

_log = structlog.get_logger(__name__)
# Less than a supervisor waits (10 s here, 30 s on Kubernetes) before it kills.
_DRAIN_S = 8.0
# Young objects are looked through after so many more, older ones after so many looks at those before: what a
# thousand calls in progress are made of is not garbage, and looking through it holds all of them up.
_COLLECTIONS = (10_000, 10, 50)
_runs = False

Main = Callable[[asyncio.Event], Awaitable[None]]


def run(main: Main, *, drain_s: float = _DRAIN_S) -> NoReturn:
    """Run `main` and exit; it gets the event that is set when the process is to stop.

    drain_s: how long it may take to return after that; then it is cancelled. A second
    signal cancels it at once.
    """
    global _runs
    _runs = True
    sys.exit(_status(main, drain_s))


def settle() -> None:
    """Call it when all is built: that stays as long as the process, and is not looked through for garbage.

    Does nothing in a process that `run` was not called in: it does other things, too.
    """
    if not _runs:
        return
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECTIONS)


async def until(stop: asyncio.Event, *work: asyncio.Task[None]) -> None:
    """Wait for the stop; work that ends before it is a failure, and raised."""
    stopped = asyncio.create_task(stop.wait())
    try:
        done, _ = await asyncio.wait({stopped, *work}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopped.cancel()
    for task in done - {stopped}:
        task.result()
        raise RuntimeError(f"{task.get_name()} ended by itself")


@asynccontextmanager
async def beside(work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Run something as long as the context lasts."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def together(*work: Coroutine[None, None, None]) -> None:
    """Run them at once until one ends, or fails; the others are cancelled then."""
    tasks = [asyncio.create_task(one) for one in work]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


def _status(main: Main, drain_s: float) -> int:
    try:
        return uvloop.run(_supervise(main, drain_s))
    except SettingsError as error:
        # Logging is set up by settings, so there is none yet.
        sys.stderr.write("\n".join(["The settings are wrong:", *error.faults, ""]))
        return 2
    except RekamError as error:
        _log.error("process.failed", error=error.message)
    except Exception as error:  # noqa: BLE001  # the last place that can say it
        _log.error("process.failed", error=f"{type(error).__name__}: {error}", exc_info=error)
    return 1


async def _supervise(main: Main, drain_s: float) -> int:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    hurry = asyncio.Event()

    def on_signal(number: signal.Signals) -> None:
        if stop.is_set():
            hurry.set()
        else:
            _log.info("process.stopping", signal=number.name)
            loop.call_later(drain_s, hurry.set)
            stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    working = asyncio.ensure_future(main(stop))
    hurried = asyncio.create_task(hurry.wait())
    await asyncio.wait({working, hurried}, return_when=asyncio.FIRST_COMPLETED)
    hurried.cancel()
    if not working.done():
        working.cancel()
        await asyncio.wait({working}, timeout=1.0)
        _log.error("process.failed", error=f"did not stop within {drain_s:g} s, or was told twice")
        return 1
    working.result()
    return 0
