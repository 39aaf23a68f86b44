"""Aggregates: state folded from one subject of the log, and decisions made against it.

The log is the arbiter. An append states the position its decision was made against;
when the subject has moved on, the aggregate catches up and decides again. A folded
state is kept and normally costs no read before a write: only what would end a request
without an append (a refusal, nothing to do) is first checked against the log's end.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import structlog
from google.protobuf.message import Message

from rekam_proto.event.v1 import envelope_pb2
from rekam_runtime.errors import Quarantine, Refused, Retry
from rekam_runtime.eventlog.envelope import draft, wrap
from rekam_runtime.eventlog.port import Conflict, EventLog
from rekam_tracking.events import decode

logger = structlog.get_logger(__name__)

# Only other processes compete here (this one's writers stand in line), and of those
# that compete at least one wins each round.
MAX_TRIES = 64


class State(Protocol):
    """What events of one subject add up to."""

    @property
    def weight(self) -> int:
        """About how many bytes of memory it takes."""
        ...

    def apply(self, event: Message, envelope: envelope_pb2.Envelope, position: int) -> None:
        """Take in the next event; one that this version does not know is passed over."""
        ...


# Returns when no other process remembers the aggregate of this name as it was.
Recall = Callable[[str], Awaitable[None]]

StateT = TypeVar("StateT", bound=State)
EventT = TypeVar("EventT", bound=Message)


@dataclass(frozen=True, slots=True)
class Cause:
    """What an event's envelope says about where it came from."""

    actor: str = ""
    origin: envelope_pb2.Origin | None = None
    traceparent: str = ""


class Aggregate(Generic[StateT]):
    """One subject, folded up to a position."""

    def __init__(self, log: EventLog, stream: str, subject: str, name: str, state: StateT) -> None:
        self._log = log
        self._stream = stream
        self._subject = subject
        self._name = name
        self.state = state
        self.position = 0
        self._writing = asyncio.Lock()
        self._reading: asyncio.Task[None] | None = None
        self._next_reading: asyncio.Task[None] | None = None

    async def catch_up(self) -> None:
        """Fold in all that lies in the log at the time of the call.

        Callers that come while a read is under way share the next one.
        """
        if self._next_reading is None:
            self._next_reading = asyncio.create_task(self._read_after(self._reading))
            # Those who wait may all have given up by the time it fails.
            self._next_reading.add_done_callback(lambda task: task.cancelled() or task.exception())
        await asyncio.shield(self._next_reading)

    async def _read_after(self, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait([before])
        self._reading, self._next_reading = self._next_reading, None
        for record in await self._log.read(self._stream, self._subject, after=self.position):
            if record.position <= self.position:
                continue  # an append of ours that was folded in meanwhile
            try:
                envelope, event = decode(record)
            except Quarantine as fault:
                # The projection sets it aside where people see it; a decision goes on without it.
                logger.warning("event passed over", position=record.position, reason=fault.message)
            else:
                self.state.apply(event, envelope, record.position)
            self.position = record.position

    async def command(self, decide: Callable[[StateT], EventT | None], cause: Cause) -> EventT | None:
        """Append the event that `decide` answers, decided against the log; returns it.

        decide: pure; answers an event, None when there is nothing to do, or raises Refused.
            It may be called several times.
        Raises Retry when other processes won every round.
        """
        async with self._writing:
            fresh = False
            for _ in range(MAX_TRIES):
                try:
                    event = decide(self.state)
                except Refused:
                    if fresh:
                        raise
                    event = None
                if event is not None:
                    try:
                        await self._append(event, cause)
                    except Conflict:
                        pass
                    else:
                        return event
                elif fresh:
                    return None
                await self.catch_up()
                fresh = True
        raise Retry(f"{self._name} is changed by too many at once: send the request again")

    async def _append(self, event: Message, cause: Cause) -> None:
        envelope = wrap(
            event,
            aggregate=self._name,
            actor=cause.actor,
            origin=cause.origin,
            traceparent=cause.traceparent,
        )
        position = await self._log.append(draft(self._subject, envelope, expected=self.position))
        if position > self.position:
            self.state.apply(event, envelope, position)
            self.position = position


class Aggregates(Generic[StateT]):
    """Aggregates of one kind by id; those used least lately are forgotten beyond a bound."""

    def __init__(
        self,
        log: EventLog,
        stream: str,
        *,
        subject_prefix: str,
        name_prefix: str,
        empty: Callable[[], StateT],
        max_weight: int,
    ) -> None:
        """max_weight: bound of the states' weights together, in bytes."""
        self._log = log
        self._stream = stream
        self._subject_prefix = subject_prefix
        self._name_prefix = name_prefix
        self._empty = empty
        self._max_weight = max_weight
        self._kept: OrderedDict[str, tuple[Aggregate[StateT], int]] = OrderedDict()
        self._weight = 0

    def get(self, id: str) -> Aggregate[StateT]:
        """The aggregate as far as it is folded; maybe not at all yet."""
        kept = self._kept.pop(id, None)
        if kept is None:
            aggregate = Aggregate(
                self._log,
                self._stream,
                self._subject_prefix + id,
                self._name_prefix + id,
                self._empty(),
            )
        else:
            aggregate, weight = kept
            self._weight -= weight
        weight = aggregate.state.weight
        self._kept[id] = (aggregate, weight)
        self._weight += weight
        while self._weight > self._max_weight and len(self._kept) > 1:
            _, (_, weight) = self._kept.popitem(last=False)
            self._weight -= weight
        return aggregate

    def forget(self) -> None:
        """Drop every folded state; what is under way goes on with the one it has."""
        self._kept.clear()
        self._weight = 0
