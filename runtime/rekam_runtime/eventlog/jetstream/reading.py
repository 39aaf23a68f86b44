"""Reading stored records by JetStream's batched direct get.

One request, many replies, no consumer: a read of a short subject costs one round trip.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import msgspec
from nats.aio.msg import Msg

from rekam_runtime.errors import Refused, Retry
from rekam_runtime.eventlog.jetstream.connection import Connection, Replies, persistently, status_of
from rekam_runtime.eventlog.port import Record

_PAGE_RECORDS = 1000
_PAGE_BYTES = 4 * 1024 * 1024
_EPOCH = datetime.fromtimestamp(0, UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Found:
    """A record and the event id that it was stored under."""

    record: Record
    event_id: str


@dataclass(frozen=True, slots=True)
class _Page:
    found: list[Found]
    more: bool


async def each(connection: Connection, stream: str, subject: str, after: int) -> AsyncIterator[Found]:
    """Records of the subject (or pattern) past the position, page by page, up to now."""
    more = True
    while more:
        page = await _page(connection, stream, subject, after, _PAGE_RECORDS)
        for found in page.found:
            yield found
        more = page.more
        after = page.found[-1].record.position if page.found else after


async def first(connection: Connection, stream: str, subject: str, after: int) -> Found | None:
    """The first record of the subject past the position."""
    page = await _page(connection, stream, subject, after, 1)
    return page.found[0] if page.found else None


async def _page(connection: Connection, stream: str, subject: str, after: int, records: int) -> _Page:
    return await persistently(lambda: _page_once(connection, stream, subject, after, records))


async def _page_once(connection: Connection, stream: str, subject: str, after: int, records: int) -> _Page:
    query = {"seq": after + 1, "next_by_subj": subject, "batch": records, "max_bytes": _PAGE_BYTES}
    found: list[Found] = []
    previous = 0
    with Replies(connection) as replies:
        await connection.publish(f"$JS.API.DIRECT.GET.{stream}", msgspec.json.encode(query), replies.subject)
        while True:
            reply = await replies.next()
            headers = reply.headers or {}
            status = status_of(reply)
            if status == "404":
                return _Page([], more=False)
            if status not in ("", "204"):
                raise Refused(f"event log: read of {subject}: {headers.get('Description', status)}")
            # Every reply names the one before it: a lost one is noticed, never skipped.
            if int(headers["Nats-Last-Sequence"]) != previous:
                raise Retry(f"event log: replies to a read of {subject} were lost")
            if status == "204":
                return _Page(found, more=int(headers["Nats-Num-Pending"]) > 0)
            one = _found(reply, headers)
            previous = one.record.position
            found.append(one)


def _found(reply: Msg, headers: dict[str, str]) -> Found:
    stored = datetime.fromisoformat(headers["Nats-Time-Stamp"])
    record = Record(
        int(headers["Nats-Sequence"]), headers["Nats-Subject"], reply.data, (stored - _EPOCH) // _MICROSECOND
    )
    return Found(record, headers.get("Nats-Msg-Id", ""))
