"""Signals over core NATS: to whoever listens now, never stored."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import nats.errors
from nats.aio.msg import Msg

from rekam_runtime.errors import Retry
from rekam_runtime.eventlog.backlog import Backlog
from rekam_runtime.eventlog.jetstream.connection import Connection

_SUBJECT = "rekam.signal."


async def publish(connection: Connection, name: str, data: bytes) -> None:
    await connection.publish(_SUBJECT + name, data)


@asynccontextmanager
async def listen(connection: Connection, name: str) -> AsyncIterator[AsyncIterator[bytes]]:
    backlog = Backlog()

    async def on_signal(message: Msg) -> None:
        backlog.put(message.data)

    try:
        subscription = await connection.client.subscribe(_SUBJECT + name, cb=on_signal)
        # The answer to a ping comes after the server has taken the subscription.
        await connection.client.flush(timeout=5)
    except (OSError, nats.errors.Error) as error:
        raise Retry(f"event log: cannot listen for signals: {error!r}") from error
    try:
        yield backlog
    finally:
        if not connection.client.is_closed:
            await subscription.unsubscribe()
