"""The event log: what every adapter promises.

A log has streams; a stream has subjects and gives every record a position, an
integer that grows from 1 in the order of appending. `tests/contracts` holds every
adapter to this page.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol

from rekam_runtime.errors import FailedPrecondition, Invalid, Refused

# NATS takes messages of 1 MiB by default, headers and all; the rest is left for the headers.
MAX_DATA_BYTES = 1024 * 1024 - 4096
MAX_BATCH_RECORDS = 1000


@dataclass(frozen=True, slots=True)
class Record:
    """One stored event: its place in the stream, its subject and its bytes.

    time_us: when the log stored it.
    """

    position: int
    subject: str
    data: bytes
    time_us: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Draft:
    """An event to be appended.

    event_id: idempotency key; the same id again within the log's window answers the
        first position and stores nothing.
    expected: position of the subject's last record that the decision was made
        against; 0 = the subject must be empty; None = no check.
    """

    subject: str
    data: bytes
    event_id: str
    expected: int | None = None


@dataclass(frozen=True, slots=True)
class StreamSpec:
    """A stream as it must be: created when missing, checked when there.

    max_bytes: bound of the stream on disk (-1 = none); a full stream refuses appends
        with SlowDown, it never drops old records.
    """

    name: str
    subjects: tuple[str, ...]
    replicas: int = 1
    max_bytes: int = -1


@dataclass(frozen=True, slots=True)
class Extent:
    """What a stream has of its log.

    log_id: names the log that these positions count in; another one after the stream was
        deleted and made again, or purged.
    origin: the log begins past it: 0, or where the last purge ended.
    first: position of the first record that is there, or of the next one when none is.
    last: as `last_position`.
    bytes: size of the records that are there, the log's own overhead included.
    """

    log_id: str
    origin: int
    first: int
    last: int
    bytes: int

    def lacks(self, after: int) -> int:
        """Up to where records past `after` were dropped; 0 when all of them are there."""
        return self.first - 1 if self.first - 1 > max(after, self.origin) else 0


class Dropped(FailedPrecondition):
    """Records that the reader needs are no longer in the stream: they are in the archive."""


def check_kept(stream: str, extent: Extent, after: int) -> None:
    """Refuse to read past `after` with records missing in between."""
    if dropped := extent.lacks(after):
        raise Dropped(
            f"stream {stream} begins at {extent.first}: "
            f"records {max(after, extent.origin) + 1} to {dropped} are in the archive only"
        )


def first_gap(after: int, records: Iterable[Record]) -> int | None:
    """The position behind which one is missing, in records that begin past `after`."""
    for record in records:
        if record.position != after + 1:
            return after
        after = record.position
    return None


def covers(pattern: str, subject: str) -> bool:
    """Whether a subject, or a pattern with a final `>`, takes a subject."""
    if pattern == ">" or pattern == subject:
        return True
    return pattern.endswith(".>") and subject.startswith(pattern[:-1])


def check_size(draft: Draft) -> None:
    """Refuse what no adapter takes."""
    if len(draft.data) > MAX_DATA_BYTES:
        raise Invalid(
            f"an event has at most {MAX_DATA_BYTES} bytes, this one for {draft.subject} has {len(draft.data)}"
        )


def check_batch(drafts: Sequence[Draft]) -> None:
    """Refuse a batch that no adapter takes."""
    if len(drafts) > MAX_BATCH_RECORDS:
        raise Invalid(f"a batch has at most {MAX_BATCH_RECORDS} events, this one has {len(drafts)}")
    for draft in drafts:
        check_size(draft)


class Conflict(Refused):
    """The subject has moved on since the decision: catch up and decide again."""


class Follower(Protocol):
    """Reads a stream in order, from a position on, as records arrive."""

    async def fetch(self, max_records: int, max_bytes: int, wait_s: float) -> list[Record]:
        """The next records, in order, none missing; at the latest after wait_s; maybe none.

        Returns as soon as there is at least one. The bounds are upper bounds, but one
        record is returned even if it is greater than max_bytes. Raises Dropped when the
        next record was dropped before it was fetched.
        """
        ...

    async def acknowledge(self, position: int) -> None:
        """Tell the log that everything up to here is applied (a delivery hint)."""
        ...

    async def close(self) -> None: ...


class EventLog(Protocol):
    """Append, read, follow. Every method raises Retry when the log cannot be reached."""

    async def ensure(self, spec: StreamSpec) -> None:
        """Create the stream or bring it to the spec; any number of callers, any time."""
        ...

    async def append(self, draft: Draft) -> int:
        """Store one event; returns its position once it is on disk.

        Raises Conflict when `expected` does not hold, SlowDown when the stream is full,
        Invalid when the event is larger than the log takes.
        """
        ...

    async def append_batch(self, drafts: Sequence[Draft]) -> list[int]:
        """Store all or none, in one stream, at most 1,000; positions in order, without gaps.

        `expected` of a subject's first draft counts; its later drafts follow that one.
        The whole batch again, with the same ids, answers the first positions; a batch
        of which only a part is stored already is a Conflict. Raises as append does.
        """
        ...

    async def read(self, stream: str, subject: str, after: int = 0) -> list[Record]:
        """Records of one subject (or pattern with a final `>`) past a position, up to now.

        Of a stream of which nothing was dropped; else of what is still there.
        """
        ...

    def scan(self, stream: str, after: int = 0) -> AsyncGenerator[Record, None]:
        """Every record of the stream past a position, up to the last one at the call.

        Raises Dropped when not all of them are there.
        """
        ...

    async def last_position(self, stream: str) -> int:
        """Position of the stream's last record, 0 when it never had one."""
        ...

    async def follow(self, stream: str, consumer: str, after: int) -> Follower:
        """Read as it arrives, from the first record past `after`.

        consumer: stable name (letters, digits, `_`, `-`) of the reading projection.
        Several followers of one name each get every record.
        Raises FailedPrecondition when `after` lies past the stream's end: that is another
        log than the one the reader has read; Dropped when records past `after` are no
        longer there.
        """
        ...

    async def extent(self, stream: str) -> Extent:
        """What the stream has now."""
        ...

    async def streams(self) -> list[str]:
        """Names of all streams there are, sorted."""
        ...

    async def drop(self, stream: str, up_to: int) -> None:
        """Drop the records up to a position, which are kept elsewhere; again is harmless.

        Whoever reads or follows from before is refused, and never skips them.
        """
        ...

    async def purge(self, stream: str) -> int:
        """Begin the log anew, without the records so far; positions go on growing.

        Returns the position past which it begins. Whoever reads from before goes on there.
        """
        ...

    async def publish_signal(self, name: str, data: bytes) -> None:
        """Tell whoever listens now; at most once, never stored."""
        ...

    def signals(self, name: str) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Signals of this name, heard from the moment the context is entered.

        The backlog is bounded: when the reader falls behind, the oldest are dropped.
        """
        ...

    async def close(self) -> None: ...
