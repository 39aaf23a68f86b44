"""A door to a server that lets so many bytes in and then stands still, its connections open."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class StallingDoor:
    """port: where it listens. stalled: set when the bytes are through, and more wait to come in."""

    def __init__(self, target_port: int, lets_in: int) -> None:
        self.port = 0
        self.stalled = asyncio.Event()
        self._target_port = target_port
        self._left = lets_in

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inside, outside = await asyncio.open_connection("127.0.0.1", self._target_port)
        answers = asyncio.create_task(_pump(inside, writer))
        try:
            while data := await reader.read(16 * 1024):
                if self._left <= 0:
                    self.stalled.set()
                    await asyncio.Event().wait()
                self._left -= len(data)
                outside.write(data)
                await outside.drain()
        except ConnectionError:
            pass  # the client was killed, which is what this is for
        finally:
            answers.cancel()
            outside.close()
            writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(64 * 1024):
        writer.write(data)
        await writer.drain()


@asynccontextmanager
async def stalling_door(target_port: int, lets_in: int) -> AsyncIterator[StallingDoor]:
    """A door that is open as long as the context lasts."""
    door = StallingDoor(target_port, lets_in)
    serving: set[asyncio.Task[None]] = set()

    def on_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.create_task(door.serve(reader, writer)))

    server = await asyncio.start_server(on_connection, "127.0.0.1", 0)
    door.port = server.sockets[0].getsockname()[1]
    try:
        yield door
    finally:
        server.close()
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
