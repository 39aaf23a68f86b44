"""Following a stream: an ordered, gap-free, prefetching pull consumer.

Each follower makes a consumer of its own (named after the projection, in the server's
memory, gone some minutes after its last use), from the position it is given. The position
in Postgres is the truth; a consumer that kept one too could only disagree with it, and one
that two replicas share would deal the stream out between them.

One pull is open at a time. It stays open while the stream is idle, so that a record is
here as soon as it is stored; under load it ends by its bytes, and the next one is sent when
half of what is buffered was taken: that bounds memory and keeps the socket busy while the
projection commits.

JetStream numbers the deliveries of a consumer. A number that is missing, a lost connection,
or silence where heartbeats are due make the follower start over behind the last record.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from itertools import islice

import msgspec
import nats.errors
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from rekam_runtime.errors import RekamError, Retry
from rekam_runtime.eventlog.jetstream import streams
from rekam_runtime.eventlog.jetstream.connection import Connection, status_of
from rekam_runtime.eventlog.port import Record, check_kept, first_gap

_PULL_BYTES = 8 * 1024 * 1024
_PULL_RECORDS = 20_000
_LOW_WATER_BYTES = 8 * 1024 * 1024
_LOW_WATER_RECORDS = 20_000
_PULL_EXPIRES_S = 30
_HEARTBEAT_S = 2
_SILENCE_S = 3 * _HEARTBEAT_S
_CONSUMER_KEPT_S = 300
# Redelivery is of no use here (a gap starts the consumer over), so it is put off.
_ACK_WAIT_S = 6 * 3600
_NS = 1_000_000_000


class JetStreamFollower:
    """One reader of one stream. Not for use by two tasks at once."""

    def __init__(self, connection: Connection, stream: str, consumer: str, after: int) -> None:
        self._connection = connection
        self._stream = stream
        self._name = consumer
        self._last = after
        self._handed_out_to = after
        self._consumer = ""
        self._epoch = -1
        self._deliveries = 0
        self._subscription: Subscription | None = None
        self._inbox = connection.client.new_inbox()
        self._pulls = 0
        self._pull_open = False
        self._pull_left = 0
        self._broken = True
        self._heard_at = 0.0
        self._buffer: deque[Record] = deque()
        self._replies: deque[str] = deque()
        self._buffered_bytes = 0
        self._handed_out: deque[tuple[int, str]] = deque()
        self._arrived = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    async def start(self) -> None:
        """Subscribe and make the consumer; may be called again after a failure."""
        if self._subscription is None:
            client = self._connection.client
            try:
                self._subscription = await client.subscribe(f"{self._inbox}.*", cb=self._on_message)
            except (OSError, nats.errors.Error) as error:
                raise Retry(f"event log: cannot follow {self._stream}: {error!r}") from error
        await self._start_over()

    async def fetch(self, max_records: int, max_bytes: int, wait_s: float) -> list[Record]:
        deadline = self._loop.time() + wait_s
        while not self._buffer:
            if self._is_lost():
                await self._start_over()
            await self._pull_when_low()
            left_s = deadline - self._loop.time()
            if left_s <= 0:
                return []
            self._arrived.clear()
            try:
                async with asyncio.timeout(min(left_s, _SILENCE_S)):
                    await self._arrived.wait()
            except TimeoutError:
                continue
        records = self._next(max_records, max_bytes)
        # Records may be missing; those that were dropped must not be skipped.
        if (gap := first_gap(self._handed_out_to, records)) is not None:
            check_kept(self._stream, await streams.extent(self._connection, self._stream), gap)
        self._hand_out(records)
        await self._pull_when_low()
        return records

    async def acknowledge(self, position: int) -> None:
        reply = ""
        while self._handed_out and self._handed_out[0][0] <= position:
            reply = self._handed_out.popleft()[1]
        if reply:
            await self._connection.publish(reply, b"+ACK")

    async def close(self) -> None:
        try:
            if self._subscription is not None:
                await self._subscription.unsubscribe()
            await self._delete_consumer()
        except (OSError, nats.errors.Error, RekamError):
            pass  # the server drops the subscription with the connection, the consumer after its time

    def _next(self, max_records: int, max_bytes: int) -> list[Record]:
        records: list[Record] = []
        size = 0
        for record in islice(self._buffer, max_records):
            size += len(record.data)
            if records and size > max_bytes:
                break
            records.append(record)
        return records

    def _hand_out(self, records: list[Record]) -> None:
        reply = ""
        for record in records:
            self._buffer.popleft()
            reply = self._replies.popleft()
            self._buffered_bytes -= len(record.data)
        self._handed_out_to = records[-1].position
        self._handed_out.append((self._handed_out_to, reply))

    def _is_lost(self) -> bool:
        if self._broken or self._epoch != self._connection.epoch:
            return True
        return self._pull_open and self._loop.time() - self._heard_at > _SILENCE_S

    async def _start_over(self) -> None:
        """A new consumer behind the last record that came in order."""
        self._broken = True
        await self._delete_consumer()
        epoch = self._connection.epoch
        name = f"{self._name}_{secrets.token_hex(4)}"
        config = {
            "name": name,
            "deliver_policy": "by_start_sequence",
            "opt_start_seq": self._last + 1,
            "ack_policy": "all",
            "ack_wait": _ACK_WAIT_S * _NS,
            "max_ack_pending": -1,
            "replay_policy": "instant",
            "inactive_threshold": _CONSUMER_KEPT_S * _NS,
            "mem_storage": True,
            "num_replicas": 1,
        }
        self._consumer = name
        self._deliveries = 0
        self._pull_open = False
        self._handed_out.clear()
        await self._connection.api(
            f"CONSUMER.CREATE.{self._stream}.{name}", {"stream_name": self._stream, "config": config}
        )
        self._epoch = epoch
        self._broken = False

    async def _delete_consumer(self) -> None:
        """Without waiting: what is lost here goes by itself after some minutes."""
        if self._consumer and not self._connection.client.is_closed:
            name, self._consumer = self._consumer, ""
            await self._connection.publish(f"$JS.API.CONSUMER.DELETE.{self._stream}.{name}", b"")

    async def _pull_when_low(self) -> None:
        if self._pull_open or self._broken:
            return
        if self._buffered_bytes >= _LOW_WATER_BYTES or len(self._buffer) >= _LOW_WATER_RECORDS:
            return
        self._pulls += 1
        self._pull_open = True
        self._pull_left = _PULL_RECORDS
        self._heard_at = self._loop.time()
        pull = {
            "batch": _PULL_RECORDS,
            "max_bytes": _PULL_BYTES,
            "expires": _PULL_EXPIRES_S * _NS,
            "idle_heartbeat": _HEARTBEAT_S * _NS,
        }
        await self._connection.publish(
            f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{self._consumer}",
            msgspec.json.encode(pull),
            reply=f"{self._inbox}.{self._pulls}",
        )

    async def _on_message(self, message: Msg) -> None:
        if status_of(message):
            self._on_status(message)
        else:
            self._on_record(message)
        if not self._pull_open:
            try:
                await self._pull_when_low()
            except RekamError:
                self._broken = True
        if self._broken:
            self._arrived.set()

    def _on_status(self, message: Msg) -> None:
        if message.subject != f"{self._inbox}.{self._pulls}":
            return  # about a pull that is over
        self._heard_at = self._loop.time()
        status = status_of(message)
        description = (message.headers or {}).get("Description", "")
        if status == "100":
            return
        self._pull_open = False
        ended = status in ("404", "408") or (
            status == "409" and description in ("Message Size Exceeds MaxBytes", "Batch Completed")
        )
        if not ended:  # the consumer is gone, or its leader moved, or nobody listens
            self._broken = True

    def _on_record(self, message: Msg) -> None:
        consumer, position, delivery, time_us = _delivery(message.reply)
        if consumer != self._consumer or self._broken:
            return
        self._heard_at = self._loop.time()
        self._deliveries += 1
        if delivery != self._deliveries or position <= self._last:
            self._broken = True
            return
        self._pull_left -= 1
        if self._pull_left == 0:
            self._pull_open = False
        self._last = position
        self._buffer.append(Record(position, message.subject, message.data, time_us))
        self._replies.append(message.reply)
        self._buffered_bytes += len(message.data)
        self._arrived.set()


def _delivery(reply: str) -> tuple[str, int, int, int]:
    """Consumer, stream sequence, consumer sequence and microseconds from a reply subject.

    $JS.ACK.<stream>.<consumer>.<delivered>.<stream seq>.<consumer seq>.<time>.<pending>, with
    <domain>.<account> in front of the stream in the newer form.
    """
    tokens = reply.split(".")
    first = 2 if len(tokens) == 9 else 4
    return (
        tokens[first + 1],
        int(tokens[first + 3]),
        int(tokens[first + 4]),
        int(tokens[first + 5]) // 1000,
    )
