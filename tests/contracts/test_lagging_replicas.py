"""A read that a replica answers which has not got the last records yet."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator

import pytest
from nats.aio.msg import Msg

from rekam_runtime.eventlog.jetstream import reading
from rekam_runtime.eventlog.jetstream.connection import Connection
from tests.support.nats import NatsServer


@pytest.fixture
async def connection(nats_server: NatsServer) -> AsyncIterator[Connection]:
    opened = await Connection.open(nats_server.url, "lag tests", 10)
    yield opened
    await opened.close()


@pytest.fixture
async def stream(connection: Connection) -> str:
    """A stream that the server gives nobody directly: the test answers in its place."""
    name = f"LAG_{uuid.uuid4().hex}"
    await connection.api(
        f"STREAM.CREATE.{name}", {"name": name, "subjects": [f"{name}.a"], "allow_direct": False}
    )
    return name


class Replica:
    """Has the stream up to a position, and gets one more record each time it is asked."""

    def __init__(self, connection: Connection, stream: str, position: int) -> None:
        self._connection = connection
        self._stream = stream
        self._position = position
        self.asked = 0

    async def answer(self, request: Msg) -> None:
        self.asked += 1
        answered = self._position
        self._position += 1
        if answered == 0:
            await self._reply(request, b"", {"Status": "404", "Description": "Message Not Found"})
            return
        for position in range(1, answered + 1):
            headers = {
                "Nats-Sequence": str(position),
                "Nats-Subject": f"{self._stream}.a",
                "Nats-Last-Sequence": str(position - 1),
                "Nats-Time-Stamp": "2026-11-24T00:00:00.123456789Z",
            }
            await self._reply(request, str(position).encode(), headers)
        end = {"Status": "204", "Nats-Last-Sequence": str(answered), "Nats-Num-Pending": "0"}
        await self._reply(request, b"", end)

    async def _reply(self, request: Msg, data: bytes, headers: dict[str, str]) -> None:
        await self._connection.client.publish(request.reply, data, headers=headers)


@pytest.mark.parametrize(("behind", "asked"), [(0, 4), (2, 2), (3, 1)])
async def test_it_is_asked_until_it_has_what_the_leader_has(
    connection: Connection, stream: str, behind: int, asked: int
) -> None:
    for number in range(3):
        await connection.request(f"{stream}.a", str(number).encode())
    replica = Replica(connection, stream, behind)
    await connection.client.subscribe(f"$JS.API.DIRECT.GET.{stream}", cb=replica.answer)
    read = reading.each(connection, stream, f"{stream}.a", 0, replicated=True)
    assert {found.record.position async for found in read} == {1, 2, 3}
    assert replica.asked == asked


async def test_the_leader_says_the_first_record_and_its_event(connection: Connection, stream: str) -> None:
    assert await reading.first(connection, stream, f"{stream}.a", 0) is None
    for number in range(3):
        await connection.request(f"{stream}.a", bytes([number]), {"Nats-Msg-Id": f"id {number}"})
    found = await reading.first(connection, stream, f"{stream}.a", 1)
    assert found is not None
    assert (found.record.position, found.record.data, found.event_id) == (2, b"\1", "id 1")
