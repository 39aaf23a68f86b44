"""From the tail of the log to every watcher: bounded, and nobody waits for anybody."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from prometheus_client import Gauge

from rekam_proto.registry.v1 import history_pb2, watch_pb2
from rekam_registry.watching.filter import Filter
from rekam_runtime.errors import FailedPrecondition, RekamError

watchers = Gauge("rekam_registry_watchers", "Watchers that are connected")

# Changes that wait for one watcher; the database has them all.
MOST_WAITING = 1_000


@dataclass(frozen=True, slots=True)
class Told:
    """A change and the response that tells it, serialized once for all watchers."""

    position: int
    data: bytes


class Inbox:
    """What one watcher was not told yet.

    start: changes after this position come in here, as long as there is room.
    """

    def __init__(self, filter: Filter, start: int) -> None:
        self._filter = filter
        self._waiting: deque[Told] = deque()
        self._arrived = asyncio.Event()
        self._end: RekamError | None = None
        self.start = start
        self.overflown = False

    def offer(self, change: history_pb2.Change, told: Told) -> None:
        if self.overflown or not self._filter.tells(change):
            return
        if len(self._waiting) >= MOST_WAITING:
            self.overflown = True
            self._waiting.clear()
        else:
            self._waiting.append(told)
        self._arrived.set()

    def end(self, error: RekamError) -> None:
        """Whoever waits here, or will, is refused with this."""
        self._end = error
        self._arrived.set()

    def reopen(self, start: int) -> None:
        """Take changes in again, from this position on."""
        self._waiting.clear()
        self.start = start
        self.overflown = False

    async def next(self, wait_s: float) -> Told | None:
        """The next change; None when there is none in time, or when too many came."""
        if not self._waiting and not self.overflown and self._end is None:
            self._arrived.clear()
            # What arrives at the moment when time is up is there all the same.
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._arrived.wait()
        if self._end is not None:
            raise self._end
        return self._waiting.popleft() if self._waiting else None


class Hub:
    """A listener of the tail that hands changes on to the watchers."""

    def __init__(self) -> None:
        self._inboxes: set[Inbox] = set()
        self._end: RekamError | None = None

    @contextmanager
    def opened(self, filter: Filter, start: int) -> Iterator[Inbox]:
        """An inbox for changes after `start`, where the tail is now."""
        if self._end is not None:
            raise self._end
        inbox = Inbox(filter, start)
        self._inboxes.add(inbox)
        watchers.inc()
        try:
            yield inbox
        finally:
            self._inboxes.discard(inbox)
            watchers.dec()

    def take(self, change: history_pb2.Change) -> None:
        if self._inboxes:
            response = watch_pb2.WatchResponse(position=change.position, change=change)
            told = Told(change.position, response.SerializeToString())
            for inbox in self._inboxes:
                inbox.offer(change, told)

    def begin(self, position: int) -> None:
        self._end_all(FailedPrecondition("the log is another one now: watch from the beginning"))

    def close(self, error: RekamError) -> None:
        """End every watcher, those to come too."""
        self._end = error
        self._end_all(error)

    def _end_all(self, error: RekamError) -> None:
        for inbox in self._inboxes:
            inbox.end(error)
