"""One small HTTP call to a part or a service of this stack."""

from __future__ import annotations

import asyncio
import http.client
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes


async def call(
    method: str, host: str, port: int, path: str, body: bytes = b"", timeout_s: float = 2.0
) -> Answer | None:
    """The answer, or None when nobody answers."""

    def blocking() -> Answer | None:
        connection = http.client.HTTPConnection(host, port, timeout=timeout_s)
        try:
            connection.request(method, path, body=body or None, headers={"Accept": "application/json"})
            response = connection.getresponse()
            return Answer(response.status, response.read())
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    return await asyncio.to_thread(blocking)
