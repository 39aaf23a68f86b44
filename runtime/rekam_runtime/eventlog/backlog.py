"""Signals that were heard and not read yet."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator

_KEPT = 256


class Backlog:
    """A bounded queue that drops its oldest entry when full."""

    def __init__(self) -> None:
        self._signals: deque[bytes] = deque(maxlen=_KEPT)
        self._arrived = asyncio.Event()

    def put(self, data: bytes) -> None:
        self._signals.append(data)
        self._arrived.set()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        while not self._signals:
            self._arrived.clear()
            await self._arrived.wait()
        return self._signals.popleft()
