"""The registry's stream as it grows, for one process: read once, told to whoever listens here."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

import structlog

from rekam_proto.registry.v1 import history_pb2
from rekam_registry import events
from rekam_registry.events import ModelEvent
from rekam_runtime.errors import DeadlineExceeded, FailedPrecondition, Quarantine, Retry
from rekam_runtime.eventlog.port import EventLog, Record

_FETCHED_RECORDS = 1_000
_FETCHED_BYTES = 4 * 1024 * 1024
_FETCH_WAIT_S = 5.0
_AGAIN_AFTER_S = 0.1

_log = structlog.get_logger(__name__)


class Listener(Protocol):
    """Called in the order of the log, and must not wait."""

    def take(self, change: history_pb2.Change) -> None: ...

    def start_over(self) -> None:
        """Changes may be missing between what was taken and what will be."""
        ...


class Tail:
    """position: everything up to here was told, from where the process began; -1 before it has."""

    def __init__(self, log: EventLog, listeners: Sequence[Listener]) -> None:
        self._events = log
        self._listeners = listeners
        self.position = -1
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
        """Begin anew at the log's end."""
        self.position = -1
        for listener in self._listeners:
            listener.start_over()

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
            self._move(await self._events.last_position(events.STREAM))
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
