"""The registry's stream as it grows, for one process: read once, told to whoever listens here."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Protocol

import structlog

from rekam_proto.registry.v1 import history_pb2
from rekam_registry import events
from rekam_registry.events import ModelEvent
from rekam_registry.timelines import FOREVER
from rekam_runtime.errors import DeadlineExceeded, FailedPrecondition, Quarantine, Retry
from rekam_runtime.eventlog.port import EventLog, Record
from rekam_runtime.sharing import Shared

_FETCHED_RECORDS = 1_000
_FETCHED_BYTES = 4 * 1024 * 1024
_FETCH_WAIT_S = 5.0
_AGAIN_AFTER_S = 0.1
# Of the loop, which a request takes from its socket to where it asks for the log's end: those that have come
# already share a question. It halves what many at once cost, and delays one alone by some microseconds.
_TURNS = 10

_log = structlog.get_logger(__name__)


class Listener(Protocol):
    """Called in the order of the log, and must not wait."""

    def take(self, change: history_pb2.Change) -> None: ...

    def begin(self, position: int) -> None:
        """Changes after this position will be taken; of those before it, some may never have been."""
        ...


class Tail:
    """position: everything up to here was told, from where the process began; -1 before it has.

    origin: the log begins past it: where it was emptied last.
    """

    def __init__(self, log: EventLog, listeners: Sequence[Listener]) -> None:
        self._events = log
        self._listeners = listeners
        self.position = -1
        self.origin = 0
        self._moved = asyncio.Event()

    async def run(self) -> None:
        """Follow for ever."""
        while True:
            try:
                await self._follow()
            except Retry as fault:
                _log.warning("tail.starting_over", reason=fault.message, position=self.position)
            except FailedPrecondition as fault:
                # Another log than the one that was read, or one whose next records are gone.
                _log.error("tail.lost", reason=fault.message, position=self.position)
                self.start_over()
            await asyncio.sleep(_AGAIN_AFTER_S)

    def start_over(self) -> None:
        """Begin anew at the log's end, wherever that is."""
        self.position = -1
        self._begin(FOREVER)

    def _begin(self, position: int) -> None:
        for listener in self._listeners:
            listener.begin(position)

    async def reach(self, position: int, deadline_s: float) -> None:
        """Return once everything up to the position was told."""
        if self.position >= position:
            return
        try:
            async with asyncio.timeout(deadline_s):
                while self.position < position:
                    moved = self._moved
                    await moved.wait()
        except TimeoutError as error:
            raise DeadlineExceeded(
                f"{events.STREAM} is followed up to {max(0, self.position)} after {deadline_s:g} s, "
                f"the read needs {position}"
            ) from error

    async def _follow(self) -> None:
        if self.position < 0:
            extent = await self._events.extent(events.STREAM)
            self.origin = extent.origin
            self._begin(extent.last)
            self._move(extent.last)
        follower = await self._events.follow(events.STREAM, f"{events.SERVICE}_serve", self.position)
        try:
            while True:
                records = await follower.fetch(_FETCHED_RECORDS, _FETCHED_BYTES, _FETCH_WAIT_S)
                if self.position < 0:
                    return  # it was told to start over meanwhile
                for record in records:
                    self._tell(record)
                if records:
                    self._move(records[-1].position)
                    await follower.acknowledge(self.position)
        finally:
            await follower.close()

    def _tell(self, record: Record) -> None:
        try:
            envelope, event = events.decode(record)
        except Quarantine as fault:
            # The projection sets it aside where people see it.
            _log.warning("event passed over", position=record.position, reason=fault.message)
            return
        if isinstance(event, ModelEvent):
            change = events.change_of(record.position, envelope, event)
            for listener in self._listeners:
                listener.take(change)

    def _move(self, position: int) -> None:
        self.position = position
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()


class LogEnd:
    """Where the log ends, asked once for all who want to know at the same time."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._asking: Shared[int] = Shared(_TURNS)

    async def position(self) -> int:
        """Of the last record, at the time of the call or after it."""
        return await self._asking.answer(partial(self._log.last_position, events.STREAM))
