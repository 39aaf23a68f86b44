"""sys.stdout and sys.stderr, listened to: what is written goes where it always went, and to the run.

The `write` of the stream objects themselves is wrapped. So whoever holds one of them, a log
handler say, is heard; `isatty`, `fileno` and all else stay what they were; a stream that a
notebook or a test puts in its place for a while is not touched; and nothing stands between the
program and its terminal that could lose output when the program dies.

What a thread writes belongs to the run that the thread is in. A write costs an append to a
queue; a thread of ours does the rest. A forked child's output is its own: it is not recorded,
unless the child starts a run.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rekam import active, settings
from rekam.capture.console import RunConsole
from rekam.capture.descriptors import NAMES, Descriptors

if TYPE_CHECKING:
    from rekam.run import ActiveRun

log = logging.getLogger("rekam")

# Written and not looked at yet; what comes beyond is left out.
_QUEUED_CHARS = 16 * 1024 * 1024
# Writes that the thread takes at a time; when there are more, it rests so many times as long as it worked.
_SORTED_AT_ONCE = 2_000
_REST = 3


class _Wrapped:
    """A stream whose `write` is ours."""

    def __init__(self, stream: Any, heard: Callable[[str], None]) -> None:
        write = stream.write
        # A stream's own attribute hides its class' method; most have none.
        self._before = vars(stream).get("write")
        self._listening = True

        def wrapped(text: str, *others: Any, **named: Any) -> Any:
            written = write(text, *others, **named)
            if self._listening:
                heard(text)
            return written

        self.stream = stream
        self._wrapped = wrapped
        vars(stream)["write"] = wrapped

    def unwrap(self) -> None:
        """Give it its own `write` back; when somebody wrapped ours, it stays and is deaf."""
        self._listening = False
        attributes = vars(self.stream)
        if attributes.get("write") is self._wrapped:
            if self._before is None:
                del attributes["write"]
            else:
                attributes["write"] = self._before


class _Streams:
    """What this process writes to its streams, while a run wants it."""

    def __init__(self) -> None:
        self._wrapped: list[_Wrapped] = []
        self._begin()

    def _begin(self) -> None:
        # Replaced, never changed: a write looks into it without a lock.
        self._consoles: dict[ActiveRun, RunConsole] = {}
        self._queue: deque[tuple[RunConsole, str, int, str]] = deque()
        # Characters in the queue. A lost update between threads does no harm: it is set right
        # whenever the queue is found empty.
        self._queued = 0
        self._sorting = threading.Lock()
        self._changing = threading.Lock()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        # The run that has all that comes out of this process, by the descriptors.
        self._whole: ActiveRun | None = None
        self._descriptors: Descriptors | None = None

    def add(self, run: ActiveRun, console: RunConsole, descriptors: bool) -> None:
        with self._changing:
            self._consoles = {**self._consoles, run: console}
            if descriptors and self._whole is None:
                self._listen_below(run)
            for name in NAMES.values():
                self._wrap(name, getattr(sys, name))
            if self._thread is None:
                self._stopped = threading.Event()
                self._thread = threading.Thread(
                    target=self._run, args=(self._stopped,), name="rekam-console", daemon=True
                )
                self._thread.start()

    def remove(self, run: ActiveRun) -> None:
        with self._changing:
            console = self._consoles.get(run)
            if console is None:
                return
            if run is self._whole and self._descriptors is not None:
                self._descriptors.stop()
                self._whole = self._descriptors = None
            self._consoles = {key: each for key, each in self._consoles.items() if key is not run}
            if not self._consoles:
                self._unwrap()
                self._stopped.set()
                self._thread = None
        with self._sorting:
            self._sort(len(self._queue))
            console.finish()

    def take(self, run: ActiveRun | None, name: str, text: str) -> None:
        """Called by every write: fast, and never fails."""
        console = None if run is None else self._consoles.get(run)
        if console is None or not isinstance(text, str):
            return
        if self._queued > _QUEUED_CHARS:
            console.left_out += len(text)
            return
        self._queued += len(text)
        self._queue.append((console, name, time.time_ns() // 1000, text))

    def forked(self) -> None:
        """In a forked child: nobody listens, unless it is below."""
        if self._descriptors is not None:
            self._descriptors.forked()
        self._unwrap()
        self._begin()

    def _listen_below(self, run: ActiveRun) -> None:
        try:
            self._descriptors = Descriptors(lambda name, text: self.take(run, name, text))
            self._whole = run
        except (OSError, ValueError) as error:
            log.warning("REKAM_CONSOLE=fd does not work here, what Python writes is recorded: %s", error)

    def _wrap(self, name: str, stream: Any) -> None:
        if stream is None or any(each.stream is stream for each in self._wrapped):
            return
        above = _descriptor_of(stream) in NAMES

        def heard(text: str) -> None:
            run = active.current()
            if not above or run is not self._whole:
                self.take(run, name, text)

        try:
            self._wrapped.append(_Wrapped(stream, heard))
        except (AttributeError, TypeError):
            log.debug("sys.%s is a %s, whose output cannot be recorded", name, type(stream).__name__)

    def _unwrap(self) -> None:
        while self._wrapped:
            self._wrapped.pop().unwrap()

    def _run(self, stopped: threading.Event) -> None:
        interval = settings.current().flush_interval
        rest = interval
        while not stopped.wait(rest):
            began = time.thread_time()
            with self._sorting:
                self._sort(_SORTED_AT_ONCE)
                for console in self._consoles.values():
                    console.record()
            # A program that floods its streams keeps most of the interpreter for itself.
            rest = (time.thread_time() - began) * _REST if self._queue else interval

    def _sort(self, most: int) -> None:
        """Give what is queued to its consoles."""
        for _ in range(min(len(self._queue), most)):
            console, name, time_us, text = self._queue.popleft()
            self._queued -= len(text)
            console.write(name, time_us, text)
        if not self._queue:
            self._queued = 0


def _descriptor_of(stream: Any) -> int:
    try:
        return int(stream.fileno())
    except (AttributeError, OSError, ValueError, TypeError):
        return -1


_streams = _Streams()


def listen(run: ActiveRun, console: RunConsole, *, descriptors: bool) -> None:
    """Give what `run` writes from now on to `console`.

    descriptors: all that comes out of this process, unless another run has that already.
    """
    _streams.add(run, console, descriptors)


def stop_listening(run: ActiveRun) -> None:
    """Everything that `run` wrote has been given to its console once this returned."""
    _streams.remove(run)


def write(run: ActiveRun, name: str, text: str) -> None:
    """Record text as if `run` had written it, without writing it."""
    _streams.take(run, name, text)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_streams.forked)
