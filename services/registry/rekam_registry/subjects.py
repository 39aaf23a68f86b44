"""Subjects of the log, folded: what decisions are made on, and where the log stood then.

The log is the arbiter. An append states the position of each subject that it was decided against;
when one has moved on, everything involved catches up and it is decided again. A folded state is kept
and normally costs no read before a write: only what would end a request without an append (a refusal,
nothing to do) is first checked against the log's end.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, Generic, Protocol, TypeVar

import structlog
from google.protobuf.message import Message

from rekam_proto.event.v1.envelope_pb2 import Envelope
from rekam_registry import events
from rekam_registry.requests import Cause
from rekam_runtime.errors import Quarantine, Refused, Retry
from rekam_runtime.eventlog.envelope import draft, wrap
from rekam_runtime.eventlog.port import Conflict, Draft, EventLog

_log = structlog.get_logger(__name__)

# Only other processes compete here (this one's writers stand in line), and of those that compete at
# least one wins each round.
_MAX_TRIES = 64


class State(Protocol):
    """What the events of one subject add up to. weight: about how many bytes of memory it takes."""

    last_us: int
    weight: int

    def apply(self, event: Message, envelope: Envelope, position: int) -> None: ...


StateT = TypeVar("StateT", bound=State)


class Subject(Generic[StateT]):
    """One subject, folded up to a position."""

    def __init__(self, log: EventLog, subject: str, aggregate: str, state: StateT) -> None:
        self._log = log
        self._subject = subject
        self._aggregate = aggregate
        self.state = state
        self.position = 0
        self.writing = asyncio.Lock()
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
        for record in await self._log.read(events.STREAM, self._subject, after=self.position):
            if record.position <= self.position:
                continue  # an append of ours that was folded in meanwhile
            try:
                envelope, event = events.decode(record)
            except Quarantine as fault:
                # The projection sets it aside where people see it; a decision goes on without it.
                _log.warning("event passed over", position=record.position, reason=fault.message)
            else:
                self.state.apply(event, envelope, record.position)
            self.position = record.position

    def envelope(self, event: Message, cause: Cause, time_us: int) -> Envelope:
        return wrap(
            event,
            aggregate=self._aggregate,
            actor=cause.by.actor,
            reason=cause.by.reason,
            origin=cause.by.origin if cause.by.HasField("origin") else None,
            traceparent=cause.traceparent,
            time_us=time_us,
        )

    def draft(self, envelope: Envelope) -> Draft:
        return draft(self._subject, envelope, expected=self.position)

    def take_in(self, event: Message, envelope: Envelope, position: int) -> None:
        """What was appended, unless it was read meanwhile."""
        if position > self.position:
            self.state.apply(event, envelope, position)
            self.position = position


class Subjects(Generic[StateT]):
    """Subjects of one kind by id; those used least lately are forgotten beyond a bound."""

    def __init__(
        self,
        log: EventLog,
        *,
        subject: Callable[[str], str],
        kind: str,
        empty: Callable[[], StateT],
        max_weight: int,
    ) -> None:
        """max_weight: bound of the states' weights together, in bytes."""
        self._log = log
        self._subject = subject
        self._kind = kind
        self._empty = empty
        self._max_weight = max_weight
        self._kept: OrderedDict[str, tuple[Subject[StateT], int]] = OrderedDict()
        self._weight = 0

    def get(self, id: str) -> Subject[StateT]:
        """The subject as far as it is folded; maybe not at all yet."""
        kept = self._kept.pop(id, None)
        if kept is None:
            found = Subject(self._log, self._subject(id), f"{self._kind}/{id}", self._empty())
        else:
            found, weight = kept
            self._weight -= weight
        weight = found.state.weight
        self._kept[id] = (found, weight)
        self._weight += weight
        while self._weight > self._max_weight and len(self._kept) > 1:
            _, (_, weight) = self._kept.popitem(last=False)
            self._weight -= weight
        return found

    def forget(self) -> None:
        """Drop every folded state; what is under way goes on with the one it has."""
        self._kept.clear()
        self._weight = 0


# What is to be appended: an event for each subject, all or none.
Decision = Sequence[tuple[Subject[Any], Message]]


async def decide(
    log: EventLog, involved: Sequence[Subject[Any]], what: Callable[[], Decision], cause: Cause
) -> Decision:
    """Append what `what` answers, decided against the log; returns it.

    involved: the subjects that it looks at; writers of the first one stand in line.
    what: pure; answers nothing when there is nothing to do, or raises Refused. It may be called
        several times.
    Raises Retry when other processes won every round.
    """
    async with involved[0].writing:
        fresh = False
        for _ in range(_MAX_TRIES):
            decision: Decision = ()
            try:
                decision = what()
            except Refused:
                if fresh:
                    raise
            if decision:
                try:
                    await _append(log, decision, cause)
                except Conflict:
                    pass
                else:
                    return decision
            elif fresh:
                return ()
            await asyncio.gather(*(subject.catch_up() for subject in involved))
            fresh = True
    raise Retry("the model is changed by too many at once: send the request again")


async def _append(log: EventLog, decision: Decision, cause: Cause) -> None:
    # Later than all that it follows, whatever this machine's clock says: the order of a model's times
    # is that of its events.
    now_us = max(time.time_ns() // 1_000, *(subject.state.last_us + 1 for subject, _ in decision))
    envelopes = [subject.envelope(event, cause, now_us) for subject, event in decision]
    drafts = [subject.draft(one) for (subject, _), one in zip(decision, envelopes, strict=True)]
    positions = [await log.append(drafts[0])] if len(drafts) == 1 else await log.append_batch(drafts)
    for (subject, event), envelope, position in zip(decision, envelopes, positions, strict=True):
        subject.take_in(event, envelope, position)
