"""The end of an ingest stream, at moments that a client cannot choose."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import grpc.aio
import pytest

from rekam_gateway.ingest.key_sets import KeySets
from rekam_gateway.ingest.runs import Runs
from rekam_gateway.ingest.session import Session
from rekam_gateway.ingest.tracking import TrackingClient
from rekam_runtime.budget import ByteBudget
from rekam_runtime.errors import Retry
from rekam_runtime.eventlog.memory import MemoryLog


async def _silence() -> AsyncIterator[bytes]:
    await asyncio.Event().wait()
    yield b""


async def test_a_stream_that_is_ended_as_it_begins_ends() -> None:
    async with grpc.aio.insecure_channel("127.0.0.1:1") as channel:
        client = TrackingClient(channel)
        session = Session(client, Runs(client, MemoryLog()), [], ByteBudget(1), KeySets())
        first = asyncio.ensure_future(anext(session.answers(_silence())))
        # Now it waits for requests, and nobody has begun to read them.
        await asyncio.sleep(0)
        session.end(Retry("the stack is emptied"))
        with pytest.raises(Retry, match="the stack is emptied"):
            await asyncio.wait_for(first, 20)
