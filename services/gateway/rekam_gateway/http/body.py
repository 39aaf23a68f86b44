"""Bodies of requests, read whole within bounds of size, time and memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.requests import ClientDisconnect, Request

from rekam_gateway.http.errors import Coded
from rekam_runtime.errors import SlowDown

# More than MLflow's limits allow for one request.
MAX_BYTES = 16 * 1024 * 1024
MAX_ALL_BYTES = 256 * 1024 * 1024
TIMEOUT_S = 60.0


class Bodies:
    """Reads bodies; past what may be held of all requests at one time, one is told to come again."""

    def __init__(
        self, *, most: int = MAX_BYTES, most_of_all: int = MAX_ALL_BYTES, timeout_s: float = TIMEOUT_S
    ) -> None:
        self._most = most
        self._most_of_all = most_of_all
        self._timeout_s = timeout_s
        self.held = 0

    @asynccontextmanager
    async def read(self, request: Request) -> AsyncIterator[bytes]:
        """The body, which is counted until the context is left."""
        declared = request.headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > self._most:
            raise self._too_large()
        chunks: list[bytes] = []
        size = 0
        try:
            try:
                async with asyncio.timeout(self._timeout_s):
                    async for chunk in request.stream():
                        size += len(chunk)
                        self.held += len(chunk)
                        if size > self._most:
                            raise self._too_large()
                        if self.held > self._most_of_all:
                            raise SlowDown("too many large requests at one time: send again, later")
                        chunks.append(chunk)
            except TimeoutError:
                raise Coded("BAD_REQUEST", 408, f"no whole body within {self._timeout_s:g} s") from None
            except ClientDisconnect:
                raise Coded("CANCELLED", 499, "the client went away") from None
            yield b"".join(chunks)
        finally:
            self.held -= size

    def _too_large(self) -> Coded:
        return Coded("BAD_REQUEST", 413, f"a request's body has at most {self._most} bytes")
