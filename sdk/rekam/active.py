"""Which run a thread is in.

Every thread has its own stack of runs. A thread that has none is in the run that the main
thread (or whichever started one first) is in, so that worker threads log into it.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rekam.run import ActiveRun


class _Stack(threading.local):
    def __init__(self) -> None:
        self.runs: list[ActiveRun] = []


_here = _Stack()
# Every run that is active in any thread, oldest first.
_all: list[ActiveRun] = []
_last: list[ActiveRun] = []


def current() -> ActiveRun | None:
    """The run this thread is in."""
    runs = _here.runs
    if runs:
        return runs[-1]
    return _all[-1] if _all else None


def own() -> ActiveRun | None:
    """The run this thread started last and did not end."""
    return _here.runs[-1] if _here.runs else None


def enter(run: ActiveRun) -> None:
    """This thread is in `run` from now on."""
    _here.runs.append(run)
    _all.append(run)
    _last[:] = [run]


def leave(run: ActiveRun) -> None:
    """No thread's current run is `run` any more, as far as this thread can tell."""
    if run in _here.runs:
        _here.runs.remove(run)
    if run in _all:
        _all.remove(run)


def every() -> list[ActiveRun]:
    """All active runs, the innermost first."""
    return list(reversed(_all))


def last() -> ActiveRun | None:
    """The run that was started last, ended or not."""
    return _last[0] if _last else None
