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
from rekam_runtime.errors import Quarantine, Refused, Retry
from rekam_runtime.eventlog.envelope import Cause, draft, wrap
from rekam_runtime.eventlog.port import Conflict, Draft, EventLog, Record
from rekam_runtime.sharing import Shared

_log = structlog.get_logger(__name__)

# Only other processes compete here (this one's writers stand in line), and of those that compete at
# least one wins each round.
_MAX_TRIES = 64
# Events, before others have their turn: a long history must not hold up who asks for something else.
_FOLDED_AT_ONCE = 250

# Envelope and event of a record; raises Quarantine when this version cannot read it.
Decode = Callable[[Record], tuple[Envelope, Message]]


class State(Protocol):
    """What the events of one subject add up to."""

    @property
    def weight(self) -> int:
        """About how many bytes of memory it takes."""
        ...

    def apply(self, event: Message, envelope: Envelope, position: int) -> None:
        """Take in the next event; one that this version does not know is passed over."""
        ...


StateT = TypeVar("StateT", bound=State)
EventT = TypeVar("EventT", bound=Message)


class Subject(Generic[StateT]):
    """One subject, folded up to a position."""

    def __init__(
        self, log: EventLog, stream: str, decode: Decode, *, subject: str, aggregate: str, state: StateT
    ) -> None:
        """aggregate: what its events' envelopes call it."""
        self._log = log
        self._stream = stream
        self._decode = decode
        self._subject = subject
        self._last_us = 0
        self._reading: Shared[None] = Shared()
        self.aggregate = aggregate
        self.state = state
        self.position = 0
        self.writing = asyncio.Lock()

    @property
    def earliest_us(self) -> int:
        """An event of this time, or later, is dated after all that it follows."""
        return self._last_us + 1

    async def catch_up(self) -> None:
        """Fold in all that lies in the log at the time of the call.

        Callers that come while a read is under way share the next one.
        """
        await self._reading.answer(self._read)

    async def _read(self) -> None:
        records = await self._log.read(self._stream, self._subject, after=self.position)
        for number, record in enumerate(records, 1):
            if number % _FOLDED_AT_ONCE == 0:
                # Whoever decides on a state that is half folded is refused by the log.
                await asyncio.sleep(0)
            if record.position <= self.position:
                continue  # an append of ours that was folded in meanwhile
            try:
                envelope, event = self._decode(record)
            except Quarantine as fault:
                # The projection sets it aside where people see it; a decision goes on without it.
                _log.warning("event passed over", position=record.position, reason=fault.message)
                self.position = record.position
            else:
                self.take_in(event, envelope, record.position)

    async def command(self, decision: Callable[[StateT], EventT | None], cause: Cause) -> EventT | None:
        """Append the event that `decision` answers for this subject alone; returns it. See `decide`."""

        def what() -> Decision[EventT]:
            event = decision(self.state)
            return () if event is None else [(self, event)]

        decided = await decide(self._log, [self], what, cause)
        return decided[0][1] if decided else None

    def draft(self, envelope: Envelope) -> Draft:
        return draft(self._subject, envelope, expected=self.position)

    def take_in(self, event: Message, envelope: Envelope, position: int) -> None:
        """The next event, unless it was taken in before."""
        if position > self.position:
            self.state.apply(event, envelope, position)
            self.position = position
            self._last_us = max(self._last_us, envelope.time_us)


class Subjects(Generic[StateT]):
    """Subjects of one kind by id; those used least lately are forgotten beyond a bound."""

    def __init__(
        self,
        log: EventLog,
        stream: str,
        decode: Decode,
        *,
        subject: Callable[[str], str],
        kind: str,
        empty: Callable[[], StateT],
        max_weight: int,
    ) -> None:
        """max_weight: bound of the states' weights together, in bytes."""
        self._log = log
        self._stream = stream
        self._decode = decode
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
            found = self._new(id)
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

    def _new(self, id: str) -> Subject[StateT]:
        return Subject(
            self._log,
            self._stream,
            self._decode,
            subject=self._subject(id),
            aggregate=f"{self._kind}/{id}",
            state=self._empty(),
        )

    def forget(self) -> None:
        """Drop every folded state; what is under way goes on with the one it has."""
        self._kept.clear()
        self._weight = 0


# What is to be appended: an event for each subject, all or none.
Decision = Sequence[tuple[Subject[Any], EventT]]


async def decide(
    log: EventLog, involved: Sequence[Subject[Any]], what: Callable[[], Decision[EventT]], cause: Cause
) -> Decision[EventT]:
    """Append what `what` answers, decided against the log; returns it.

    involved: the subjects that it looks at; writers of the first one stand in line.
    what: pure; answers nothing when there is nothing to do, or raises Refused. It may be called
        several times.
    Raises Retry when other processes won every round.
    """
    async with involved[0].writing:
        fresh = False
        for _ in range(_MAX_TRIES):
            decision: Decision[EventT] = ()
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
    raise Retry(f"{involved[0].aggregate} is changed by too many at once: send the request again")


async def _append(log: EventLog, decision: Decision[EventT], cause: Cause) -> None:
    # Whatever this machine's clock says: the order of a subject's times is that of its events.
    now_us = max(time.time_ns() // 1_000, *(subject.earliest_us for subject, _ in decision))
    envelopes = [
        wrap(event, cause, aggregate=subject.aggregate, time_us=now_us) for subject, event in decision
    ]
    drafts = [subject.draft(one) for (subject, _), one in zip(decision, envelopes, strict=True)]
    positions = [await log.append(drafts[0])] if len(drafts) == 1 else await log.append_batch(drafts)
    for (subject, event), envelope, position in zip(decision, envelopes, positions, strict=True):
        subject.take_in(event, envelope, position)
