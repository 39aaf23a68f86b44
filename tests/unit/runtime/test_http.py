"""An HTTP port: heads without end are cut off, and others are served beside them."""

from __future__ import annotations

import asyncio

from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from rekam_runtime.http import MAX_HEAD_BYTES, HttpServer
from rekam_runtime.settings import HostPort

ANYWHERE = HostPort("127.0.0.1", 0)


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    while (await receive()).get("more_body"):
        pass
    await PlainTextResponse("served")(scope, receive, send)


async def asked(server: HttpServer, sent: bytes) -> bytes:
    """What comes back until the connection is closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        writer.write(sent)
        await writer.drain()
        return await reader.read()
    except ConnectionError:
        return b"closed"
    finally:
        writer.close()


async def test_a_head_has_an_end() -> None:
    async with HttpServer(app, ANYWHERE) as server, asyncio.timeout(20):
        line = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
        fits = line + b"X: " + b"x" * (MAX_HEAD_BYTES // 2) + b"\r\n\r\n"
        assert (await asked(server, fits)).startswith(b"HTTP/1.1 200 ")
        for endless in (b"x", b"x: y\r\n"):
            answer = await asked(server, line + b"X: " + endless * (2 * MAX_HEAD_BYTES))
            assert answer.startswith(b"HTTP/1.1 400 ") or answer == b"closed"
        assert (await asked(server, fits)).endswith(b"served")


async def test_a_body_is_no_part_of_the_head() -> None:
    async with HttpServer(app, ANYWHERE) as server, asyncio.timeout(20):
        size = 4 * MAX_HEAD_BYTES
        head = f"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {size}\r\n\r\n".encode()
        assert (await asked(server, head + b"x" * size)).endswith(b"served")


async def test_requests_of_one_connection_count_for_themselves() -> None:
    async with HttpServer(app, ANYWHERE) as server, asyncio.timeout(20):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        for _ in range(5):
            writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * (MAX_HEAD_BYTES // 2) + b"\r\n\r\n")
            assert (await reader.readuntil(b"served")).startswith(b"HTTP/1.1 200 ")
        writer.close()
