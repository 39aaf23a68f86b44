"""Reading stored records by JetStream's batched direct get.

One request, many replies, no consumer: a read of a short subject costs one round trip. Any replica
of a stream answers it, also one that has not got the last records yet. So of a stream that has
several the leader is asked first how far the subject goes, and replicas until they are there.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from nats.aio.msg import Msg

from rekam_runtime.errors import NotFound, Refused, Retry
from rekam_runtime.eventlog.jetstream import streams
from rekam_runtime.eventlog.jetstream.connection import (
    TRY_FOR_S,
    Connection,
    Replies,
    persistently,
    status_of,
)
from rekam_runtime.eventlog.port import Record

_PAGE_RECORDS = 1000
_PAGE_BYTES = 4 * 1024 * 1024
_LAG_PAUSE_S = 0.02
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


async def each(
    connection: Connection, stream: str, subject: str, after: int, *, replicated: bool
) -> AsyncIterator[Found]:
    """Records of the subject (or pattern) past the position, page by page, up to now.

    replicated: whether a replica that lags may answer.
    """
    last = await _last_position(connection, stream, subject) if replicated else 0
    give_up = time.monotonic() + TRY_FOR_S
    while True:
        page = await _page(connection, stream, subject, after, _PAGE_RECORDS)
        for found in page.found:
            yield found
        after = page.found[-1].record.position if page.found else after
        if page.more:
            continue
        if after >= last:
            return
        if time.monotonic() > give_up:
            raise Retry(f"event log: a replica of {stream} is at {after} of {subject}, the leader at {last}")
        await asyncio.sleep(_LAG_PAUSE_S)
        # Asked again: it may have been dropped meanwhile.
        last = await _last_position(connection, stream, subject)


async def first(connection: Connection, stream: str, subject: str, after: int) -> Found | None:
    """The first record of the subject past the position, as the leader has it."""
    stored = await _stored(connection, stream, {"seq": after + 1, "next_by_subj": subject})
    if stored is None:
        return None
    record = Record(stored.seq, stored.subject, stored.data, _micros(stored.time))
    return Found(record, stored.header("Nats-Msg-Id"))


async def _last_position(connection: Connection, stream: str, subject: str) -> int:
    """Position of the subject's last record, as the leader has it; 0 when there is none."""

    async def ask() -> int:
        stored = await _stored(connection, stream, {"last_by_subj": subject})
        await streams.state(connection, stream)  # or it is not the leader who answered
        return 0 if stored is None else stored.seq

    return await persistently(ask)


class _Stored(msgspec.Struct):
    """A message in an answer of the leader."""

    subject: str
    seq: int
    time: str
    data: bytes = b""
    hdrs: bytes = b""

    def header(self, name: str) -> str:
        for line in self.hdrs.decode().split("\r\n"):
            key, _, value = line.partition(":")
            if key == name:
                return value.strip()
        return ""


class _Got(msgspec.Struct):
    message: _Stored


async def _stored(connection: Connection, stream: str, query: dict[str, Any]) -> _Stored | None:
    try:
        answer = await connection.api(f"STREAM.MSG.GET.{stream}", query)
    except NotFound:
        return None
    return msgspec.json.decode(answer, type=_Got).message


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
    stored_us = _micros(headers["Nats-Time-Stamp"])
    record = Record(int(headers["Nats-Sequence"]), headers["Nats-Subject"], reply.data, stored_us)
    return Found(record, headers.get("Nats-Msg-Id", ""))


def _micros(time_stamp: str) -> int:
    return (datetime.fromisoformat(time_stamp) - _EPOCH) // _MICROSECOND
