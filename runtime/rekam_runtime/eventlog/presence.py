"""Presence: processes say that they are there, by signals, and whoever listens knows when one last did.

What is missing then is told apart from a link that is broken: where nobody is heard, silence
says nothing about those who would speak through them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from rekam_runtime.errors import Retry
from rekam_runtime.eventlog.port import EventLog

# Gateways that take in what clients send, and can pass it on.
GATEWAYS = "present.gateways"
EVERY_S = 1.0


async def announce(log: EventLog, name: str, faults: Callable[[], Awaitable[list[str]]]) -> None:
    """Say for ever that this process is there, while it has no faults."""
    while True:
        if not await faults():
            with suppress(Retry):
                await log.publish_signal(name, b"")
        await asyncio.sleep(EVERY_S)


class Listener:
    """Hears the processes of one name."""

    def __init__(self, log: EventLog, name: str) -> None:
        self._log = log
        self._name = name
        self._heard_at: float | None = None

    def heard_within(self, seconds: float) -> bool:
        """Whether one of them said so lately."""
        now = asyncio.get_running_loop().time()
        return self._heard_at is not None and now - self._heard_at <= seconds

    async def listen(self) -> None:
        """Listen for ever."""
        while True:
            with suppress(Retry):
                async with self._log.signals(self._name) as signals:
                    async for _ in signals:
                        self._heard_at = asyncio.get_running_loop().time()
            await asyncio.sleep(EVERY_S)
