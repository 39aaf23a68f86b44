"""The in-memory twin: the same promises, for tests, in one process."""

from __future__ import annotations

import asyncio
import time
import uuid
from bisect import bisect_right
from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from rekam_runtime.errors import FailedPrecondition, NotFound, SlowDown
from rekam_runtime.eventlog.backlog import Backlog
from rekam_runtime.eventlog.port import (
    Conflict,
    Draft,
    Extent,
    Follower,
    Record,
    StreamSpec,
    check_batch,
    check_kept,
    covers,
)


class _Stream:
    def __init__(self, spec: StreamSpec, log_id: str) -> None:
        self.spec = spec
        self.log_id = log_id
        self.records: list[Record] = []
        self.origin = 0
        self.last = 0
        self.bytes = 0
        self.last_of_subject: dict[str, int] = {}
        self.position_of_event: dict[str, int] = {}
        self.grown = asyncio.Event()

    def check(self, draft: Draft) -> None:
        if draft.expected is not None and self.last_of_subject.get(draft.subject, 0) != draft.expected:
            raise Conflict(f"event log: {draft.subject} is past {draft.expected}")

    def check_room(self, size: int) -> None:
        if 0 <= self.spec.max_bytes < self.bytes + size:
            raise SlowDown(f"event log: stream {self.spec.name} is full")

    def store(self, draft: Draft) -> int:
        self.last += 1
        self.records.append(Record(self.last, draft.subject, draft.data, time.time_ns() // 1000))
        self.bytes += len(draft.data)
        self.last_of_subject[draft.subject] = self.last
        self.position_of_event[draft.event_id] = self.last
        self.grown.set()
        self.grown = asyncio.Event()
        return self.last

    def extent(self) -> Extent:
        first = self.records[0].position if self.records else self.last + 1
        return Extent(f"{self.log_id}-{self.origin}", self.origin, first, self.last, self.bytes)

    def check_kept(self, after: int) -> None:
        check_kept(self.spec.name, self.extent(), after)

    def drop(self, up_to: int) -> None:
        dropped, self.records = self.records, self.past(up_to)
        self.bytes = sum(len(record.data) for record in self.records)
        for record in dropped[: len(dropped) - len(self.records)]:
            if self.last_of_subject.get(record.subject) == record.position:
                del self.last_of_subject[record.subject]

    def past(self, after: int) -> list[Record]:
        return self.records[bisect_right(self.records, after, key=lambda record: record.position) :]


class MemoryLog:
    """`EventLog` in this process's memory; as large as what is appended.

    log_id: names its logs (see `Extent`); random by default.
    """

    def __init__(self, log_id: str = "") -> None:
        self._log_id = log_id
        self._streams: dict[str, _Stream] = {}
        self._listeners: defaultdict[str, list[Backlog]] = defaultdict(list)

    async def ensure(self, spec: StreamSpec) -> None:
        for name, stream in self._streams.items():
            if name != spec.name and _overlap(stream.spec, spec):
                raise FailedPrecondition(f"event log: subjects of {spec.name} overlap with those of {name}")
        if spec.name in self._streams:
            self._streams[spec.name].spec = spec
        else:
            self._streams[spec.name] = _Stream(spec, self._log_id or uuid.uuid4().hex)

    async def append(self, draft: Draft) -> int:
        return (await self.append_batch([draft]))[0]

    async def append_batch(self, drafts: Sequence[Draft]) -> list[int]:
        check_batch(drafts)
        if not drafts:
            return []
        streams = {id(stream): stream for stream in (self._of_subject(draft.subject) for draft in drafts)}
        (stream,) = streams.values()
        stored = [stream.position_of_event.get(draft.event_id) for draft in drafts]
        positions = [position for position in stored if position is not None]
        if len(positions) == len(drafts):
            return positions
        if positions:
            raise Conflict("event log: a part of the batch is stored already")
        first_of_subject = {draft.subject: draft for draft in reversed(drafts)}
        for draft in first_of_subject.values():
            stream.check(draft)
        stream.check_room(sum(len(draft.data) for draft in drafts))
        return [stream.store(draft) for draft in drafts]

    async def read(self, stream: str, subject: str, after: int = 0) -> list[Record]:
        return [record for record in self._named(stream).past(after) if covers(subject, record.subject)]

    async def scan(self, stream: str, after: int = 0) -> AsyncGenerator[Record, None]:
        scanned = self._named(stream)
        scanned.check_kept(after)
        for record in scanned.past(after):
            yield record

    async def last_position(self, stream: str) -> int:
        return self._named(stream).last

    async def follow(self, stream: str, consumer: str, after: int) -> Follower:
        followed = self._named(stream)
        if after > followed.last:
            raise FailedPrecondition(
                f"stream {stream} ends at {followed.last}, before {after}: it is not the log that was read"
            )
        followed.check_kept(after)
        return _MemoryFollower(followed, after)

    async def extent(self, stream: str) -> Extent:
        return self._named(stream).extent()

    async def streams(self) -> list[str]:
        return sorted(self._streams)

    async def drop(self, stream: str, up_to: int) -> None:
        self._named(stream).drop(up_to)

    async def purge(self, stream: str) -> int:
        purged = self._named(stream)
        purged.origin = purged.last
        purged.drop(purged.last)
        return purged.last

    async def publish_signal(self, name: str, data: bytes) -> None:
        for backlog in self._listeners[name]:
            backlog.put(data)

    def signals(self, name: str) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        return self._listen(name)

    @asynccontextmanager
    async def _listen(self, name: str) -> AsyncIterator[AsyncIterator[bytes]]:
        backlog = Backlog()
        self._listeners[name].append(backlog)
        try:
            yield backlog
        finally:
            self._listeners[name].remove(backlog)

    async def close(self) -> None:
        self._streams.clear()

    def _named(self, name: str) -> _Stream:
        if name not in self._streams:
            raise NotFound(f"event log: stream {name} not found")
        return self._streams[name]

    def _of_subject(self, subject: str) -> _Stream:
        for stream in self._streams.values():
            if any(covers(pattern, subject) for pattern in stream.spec.subjects):
                return stream
        raise NotFound(f"event log: no stream takes {subject}")


class _MemoryFollower:
    def __init__(self, stream: _Stream, after: int) -> None:
        self._stream = stream
        self._after = after

    async def fetch(self, max_records: int, max_bytes: int, wait_s: float) -> list[Record]:
        try:
            async with asyncio.timeout(wait_s):
                while self._stream.last <= self._after:
                    await self._stream.grown.wait()
        except TimeoutError:
            return []
        records: list[Record] = []
        size = 0
        for record in self._stream.past(self._after)[:max_records]:
            size += len(record.data)
            if records and size > max_bytes:
                break
            records.append(record)
        # A purged beginning may be skipped, what was dropped may not.
        self._stream.check_kept(self._after)
        self._after = records[-1].position if records else self._stream.last
        return records

    async def acknowledge(self, position: int) -> None:
        pass

    async def close(self) -> None:
        pass


def _overlap(one: StreamSpec, other: StreamSpec) -> bool:
    return any(covers(a, b) or covers(b, a) for a in one.subjects for b in other.subjects)
