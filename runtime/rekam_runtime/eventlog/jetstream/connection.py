"""One NATS connection: connects for ever, sends requests, routes the replies.

Replies come over one inbox subscription for all requests. nats-py's own `request` takes
one reply per request and lets requests wait out their time when the connection drops;
batched reads need many replies, and a caller that may send again should know at once.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import msgspec
import nats
import nats.errors
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg

from rekam_runtime.errors import Invalid, Retry, SlowDown
from rekam_runtime.eventlog.jetstream import faults

# Of bytes on their way to the server; past it a publisher waits for the socket.
_OUTBOUND_BYTES = 8 * 1024 * 1024
_RECONNECT_EVERY_S = 0.25
# A server that stands still, or a network that was cut, is noticed within 4 s; a reconnect that
# was not needed does no harm.
_PING_EVERY_S = 1
_PINGS_UNANSWERED = 3
REQUEST_TIMEOUT_S = 5.0
# How long a call that is safe to repeat is tried again: longer than a leader's election.
TRY_FOR_S = 20.0

_log = structlog.get_logger(__name__)
_T = TypeVar("_T")


class ApiError(msgspec.Struct):
    """JetStream's error object."""

    code: int = 0
    err_code: int = 0
    description: str = ""


class ApiReply(msgspec.Struct):
    """What every JSON answer of JetStream may carry."""

    error: ApiError | None = None


class Connection:
    """A live connection; `epoch` grows each time it was lost."""

    def __init__(self) -> None:
        self.client = Client()
        self.epoch = 0
        self._inbox = ""
        self._tokens = itertools.count(1)
        self._waiting: dict[str, asyncio.Queue[Msg | None]] = {}

    @classmethod
    async def open(cls, url: str, name: str, wait_s: float) -> Connection:
        """Connect to any server of the comma-separated list, or raise Retry after wait_s."""
        self = cls()
        servers = [server.strip() for server in url.split(",")]
        try:
            async with asyncio.timeout(wait_s):
                await self.client.connect(
                    servers=servers,
                    name=name,
                    allow_reconnect=True,
                    max_reconnect_attempts=-1,
                    reconnect_time_wait=_RECONNECT_EVERY_S,  # type: ignore[arg-type]  # any number does
                    connect_timeout=1,
                    ping_interval=_PING_EVERY_S,
                    max_outstanding_pings=_PINGS_UNANSWERED,
                    pending_size=_OUTBOUND_BYTES,
                    error_cb=self._on_error,
                    disconnected_cb=self._on_disconnected,
                    reconnected_cb=self._on_reconnected,
                )
                self._inbox = self.client.new_inbox()
                await self.client.subscribe(f"{self._inbox}.*", cb=self._on_reply)
        except (TimeoutError, OSError, nats.errors.Error) as error:
            raise Retry(f"event log: cannot connect to NATS within {wait_s:g} s: {error!r}") from error
        return self

    async def close(self) -> None:
        if not self.client.is_closed:
            await self.client.close()
        self._drop_waiters()

    async def publish(
        self, subject: str, data: bytes, reply: str = "", headers: dict[str, str] | None = None
    ) -> None:
        """Send and do not wait for an answer."""
        try:
            await self.client.publish(subject, data, reply=reply, headers=headers)
        except nats.errors.MaxPayloadError as error:
            raise Invalid(f"event log: message of {len(data)} bytes for {subject} is too large") from error
        except (OSError, nats.errors.Error) as error:
            raise Retry(f"event log: cannot send to NATS: {error!r}") from error

    async def request(self, subject: str, data: bytes, headers: dict[str, str] | None = None) -> Msg:
        """Send and wait for one answer."""
        with Replies(self) as replies:
            await self.publish(subject, data, replies.subject, headers)
            return await replies.next()

    async def api(self, subject: str, body: Mapping[str, Any] | None = None) -> bytes:
        """Ask JetStream's API; an error in the answer is raised as ours."""
        data = msgspec.json.encode(body) if body is not None else b""
        reply = await self.request(f"$JS.API.{subject}", data)
        raise_api_error(reply.data)
        return reply.data

    def attach(self, queue: asyncio.Queue[Msg | None]) -> str:
        """Route replies into the queue; answers the subject to be given as reply."""
        token = f"{next(self._tokens):x}"
        self._waiting[token] = queue
        return f"{self._inbox}.{token}"

    def detach(self, subject: str) -> None:
        self._waiting.pop(subject.rpartition(".")[2], None)

    async def _on_reply(self, message: Msg) -> None:
        queue = self._waiting.get(message.subject.rpartition(".")[2])
        if queue is not None:
            queue.put_nowait(message)

    def _drop_waiters(self) -> None:
        for queue in self._waiting.values():
            queue.put_nowait(None)

    async def _on_disconnected(self) -> None:
        self.epoch += 1
        self._drop_waiters()
        if not self.client.is_closed:
            _log.warning("event_log.disconnected")

    async def _on_reconnected(self) -> None:
        url = self.client.connected_url
        _log.info("event_log.reconnected", server=f"{url.hostname}:{url.port}" if url else "")

    async def _on_error(self, error: Exception) -> None:
        _log.warning("event_log.connection_error", error=repr(error))


class Replies:
    """The replies to one request, as many as the server sends.

    The queue needs no bound of its own: every request that has many replies states how
    many, and how many bytes, it takes.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._queue: asyncio.Queue[Msg | None] = asyncio.Queue()
        self.subject = ""

    def __enter__(self) -> Replies:
        self.subject = self._connection.attach(self._queue)
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.detach(self.subject)

    async def next(self, timeout_s: float = REQUEST_TIMEOUT_S) -> Msg:
        """The next reply; Retry when none comes, or when none can come."""
        try:
            async with asyncio.timeout(timeout_s):
                reply = await self._queue.get()
        except TimeoutError as error:
            raise Retry(
                f"event log: no answer from NATS within {timeout_s:g} s: it is not there, or its disk is full"
            ) from error
        if reply is None:
            raise Retry("event log: the connection to NATS was lost")
        if status_of(reply) == "503":
            raise Retry("event log: nobody answers: JetStream is starting, electing, or lacks the stream")
        return reply


def status_of(message: Msg) -> str:
    """Status code of a control message, empty for a message that carries data."""
    return message.headers.get("Status", "") if message.headers else ""


def raise_api_error(answer: bytes) -> None:
    """Raise what an answer of JetStream's API complains about, if it does."""
    error = msgspec.json.decode(answer, type=ApiReply).error
    if error is not None:
        raise faults.error_of(error.code, error.err_code, error.description)


async def persistently(call: Callable[[], Awaitable[_T]], try_for_s: float = TRY_FOR_S) -> _T:
    """Call until it is answered; only for what may be sent twice. A full log is an answer."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + try_for_s
    pause_s = 0.05
    while True:
        try:
            return await call()
        except SlowDown:
            raise
        except Retry:
            if loop.time() + pause_s > deadline:
                raise
        await asyncio.sleep(pause_s)
        pause_s = min(pause_s * 2, 0.4)
