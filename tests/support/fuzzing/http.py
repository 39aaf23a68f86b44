"""Nonsense for HTTP ports, over bare sockets: request lines, headers and bodies that are nearly right."""

from __future__ import annotations

import asyncio
from random import Random

from tests.support.fuzzing.mutating import TEXTS

# Nothing here changes anything when it is left as it is, or nearly.
_REQUESTS = (
    b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    b"GET /ready HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n",
    b"GET /metrics?name[]=x HTTP/1.1\r\nHost: localhost\r\nAccept: text/plain;version=1.0.0\r\n\r\n",
    b"HEAD /metrics HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n",
    b"PUT /health HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n",
    b"POST /ready HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\n\r\nabcde",
    b"OPTIONS * HTTP/1.1\r\nHost: [::1]:5000\r\nOrigin: null\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x12\x04\0\0\0\0\0\0\x03\0\0\0d",
    b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03",
)
_ANSWER_S = 20.0


def _changed(random: Random) -> bytes:
    data = bytearray(random.choice(_REQUESTS))
    for _ in range(random.choice((1, 1, 2, 5))):
        at = random.randrange(len(data))
        match random.randrange(6):
            case 0:
                data[at] ^= 1 << random.randrange(8)
            case 1:
                del data[at : at + random.randrange(1, 20)]
                data = data or bytearray(b"\n")
            case 2:
                data[at:at] = random.randbytes(random.randrange(1, 9))
            case 3:
                data[at:at] = random.choice(TEXTS).encode()
            case 4:
                data[at:at] = b"\r\nX: " + b"x" * random.choice((1, 1_000, 100_000))
            case 5:
                data[at:at] = b"\r\nContent-Length: " + random.choice((b"-1", b"99999999999", b"x", b"3"))
    return bytes(data)


async def bombard_http(host: str, port: int, random: Random, requests: int) -> list[str]:
    """Send them, a connection each; answers what is wrong with what came back."""
    wrong: list[str] = []
    for _ in range(requests):
        request = _changed(random)
        answer = await _answer(host, port, request)
        status = answer[9:12]
        # 503 says that a part is not ready.
        if answer.startswith(b"HTTP/") and status.startswith(b"5") and status != b"503":
            wrong.append(f"{answer[:200]!r} to {request[:300]!r}")
    return wrong


async def _answer(host: str, port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(request)
        writer.write_eof()
        async with asyncio.timeout(_ANSWER_S):
            await writer.drain()
            return await reader.read(65_536)
    except TimeoutError:
        return b"HTTP/1.1 599 no answer, and no end of the connection"
    except OSError:  # it hung up
        return b""
    finally:
        writer.close()
