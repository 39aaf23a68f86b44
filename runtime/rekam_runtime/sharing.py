"""One question for all who ask it at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Shared(Generic[T]):
    """Answers of a question that is never older than who asks.

    Callers that come while it is under way share the next one. turns: of the event loop that it waits for
    more callers.
    """

    def __init__(self, turns: int = 0) -> None:
        self._turns = turns
        self._asking: asyncio.Task[T] | None = None
        self._next: asyncio.Task[T] | None = None

    async def answer(self, ask: Callable[[], Awaitable[T]]) -> T:
        """ask: the same for all callers; begins at the time of the call or after it."""
        if self._next is None:
            self._next = asyncio.create_task(self._ask_after(self._asking, ask))
            # Those who wait may all have given up by the time it fails.
            self._next.add_done_callback(lambda task: task.cancelled() or task.exception())
        return await asyncio.shield(self._next)

    async def _ask_after(self, before: asyncio.Task[T] | None, ask: Callable[[], Awaitable[T]]) -> T:
        if before is not None:
            await asyncio.wait([before])
        for _ in range(self._turns):
            await asyncio.sleep(0)
        self._asking, self._next = self._next, None
        return await ask()
