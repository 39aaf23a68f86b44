"""Gathering a batch: large under load, at once when nothing more comes or somebody waits."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass

from rekam_runtime.eventlog.port import Follower, Record


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """When a batch is ready: whichever comes first.

    idle_s: nothing more arrived for this long, so waiting would only delay the reader.
    """

    max_bytes: int = 16 * 1024 * 1024
    max_records: int = 20_000
    max_wait_s: float = 0.1
    idle_s: float = 0.005


class Nudges:
    """The greatest position that a reader waits for."""

    def __init__(self) -> None:
        self._wanted = 0
        self._grown = asyncio.Event()

    def want(self, position: int) -> None:
        if position > self._wanted:
            self._wanted = position
            self._grown.set()

    async def next(self, wait_s: float) -> None:
        """Return when somebody wants more than before, at the latest after wait_s."""
        self._grown.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._grown.wait()

    def met_by(self, after: int, position: int) -> bool:
        """Whether a batch from past `after` to `position` has what somebody waits for."""
        return after < self._wanted <= position


async def next_batch(follower: Follower, limits: BatchLimits, nudges: Nudges, after: int) -> list[Record]:
    """The next records past `after`, at least one; waits for it as long as it takes."""
    records: list[Record] = []
    while not records:
        records = await follower.fetch(limits.max_records, limits.max_bytes, 5.0)
    loop = asyncio.get_running_loop()
    deadline = loop.time() + limits.max_wait_s
    size = _size(records)

    async def more() -> list[Record]:
        return await follower.fetch(limits.max_records - len(records), limits.max_bytes - size, 0)

    while size < limits.max_bytes and len(records) < limits.max_records:
        left_s = deadline - loop.time()
        if left_s <= 0 or nudges.met_by(after, records[-1].position):
            break
        found = await more()
        if not found:
            # The follower goes on buffering; a nudge ends the pause.
            await nudges.next(min(left_s, limits.idle_s))
            found = await more()
        if not found:
            break
        records += found
        size += _size(found)
    return records


def _size(records: list[Record]) -> int:
    return sum(len(record.data) for record in records)
