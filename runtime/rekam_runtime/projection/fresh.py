"""Strong reads: wait until the projection has what was acknowledged before the read began.

A reader asks the log for its last position and waits here until the projection is there.
Projectors say how far they are by signals; those may get lost, so while somebody waits the
position in Postgres is looked up too, once for all who wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, suppress

from rekam_runtime.errors import DeadlineExceeded, Retry
from rekam_runtime.eventlog.port import EventLog
from rekam_runtime.postgres import Connection, Pool, acquire, generations
from rekam_runtime.projection import signals

_LOOK_EVERY_S = 0.05
_LISTEN_AGAIN_S = 0.25


class FreshReads:
    """Knows how far the projections of a database are; one for a process, used by all its readers."""

    def __init__(self, log: EventLog, pool: Pool) -> None:
        self._log = log
        self._pool = pool
        self._streams: dict[str, _Stream] = {}

    async def __aenter__(self) -> FreshReads:
        return self

    async def __aexit__(self, *_: object) -> None:
        for stream in self._streams.values():
            await stream.close()
        self._streams.clear()

    def at_once(self, targets: Mapping[str, int]) -> bool:
        """Whether the projections are known to have the positions, without asking anybody."""
        return all(self._stream(name).position >= target for name, target in targets.items())

    async def wait_for(self, targets: Mapping[str, int], deadline_s: float) -> None:
        """Return once every stream is projected up to its target.

        Raises DeadlineExceeded, which names the stream, where it is and where it should be.
        """
        if self.at_once(targets):
            return
        waiting = {name: target for name, target in targets.items() if self._stream(name).position < target}
        try:
            async with asyncio.timeout(deadline_s):
                await asyncio.gather(*(self._stream(name).reach(target) for name, target in waiting.items()))
        except TimeoutError as error:
            late = ", ".join(
                f"{name} is at {max(0, self._stream(name).position)}, the read needs {target}"
                for name, target in waiting.items()
                if self._stream(name).position < target
            )
            raise DeadlineExceeded(f"the projection is behind after {deadline_s:g} s: {late}") from error

    async def caught_up(self, streams: Iterable[str], deadline_s: float) -> dict[str, int]:
        """Return once everything the log has now is projected; answers that position of each stream."""
        names = list(streams)
        try:
            async with asyncio.timeout(deadline_s):
                lasts = await asyncio.gather(*(self._log.last_position(name) for name in names))
        except TimeoutError as error:
            raise DeadlineExceeded(f"the log did not say its last position in {deadline_s:g} s") from error
        targets = dict(zip(names, lasts, strict=True))
        await self.wait_for(targets, deadline_s)
        return targets

    @asynccontextmanager
    async def connection(self, streams: Iterable[str], deadline_s: float) -> AsyncIterator[Connection]:
        """A connection that sees everything the log has now of these streams."""
        names = list(streams)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + deadline_s
        while True:
            targets = await self.caught_up(names, deadline - loop.time())
            async with acquire(self._pool) as connection:
                if await self.holds(connection, targets):
                    yield connection
                    return

    @asynccontextmanager
    async def connection_at(self, targets: Mapping[str, int], deadline_s: float) -> AsyncIterator[Connection]:
        """A connection that sees the streams at least up to these positions."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + deadline_s
        while True:
            await self.wait_for(targets, deadline - loop.time())
            async with acquire(self._pool) as connection:
                if await self.holds(connection, targets):
                    yield connection
                    return

    async def holds(self, connection: Connection, targets: Mapping[str, int]) -> bool:
        """Whether this connection's database has the positions itself, in the generation it sees from now on.

        A server that crashed comes back without its last commits (see `BatchWriter`), and a
        standby may be behind: what was heard is a hint, what the database says counts.
        """
        found = (await generations.pin(connection, list(targets))).positions
        behind = [name for name, target in targets.items() if found.get(name, 0) < target]
        for name in behind:
            self._stream(name).position = -1
        return not behind

    def _stream(self, name: str) -> _Stream:
        if name not in self._streams:
            self._streams[name] = _Stream(self._log, self._pool, name)
        return self._streams[name]


class _Stream:
    """One stream's position as far as known, and who waits for more."""

    def __init__(self, log: EventLog, pool: Pool, name: str) -> None:
        self.position = -1
        self._log = log
        self._pool = pool
        self._name = name
        self._nudged = 0
        self._waiters: dict[asyncio.Future[None], int] = {}
        self._listening = asyncio.create_task(self._listen())
        self._looking: asyncio.Task[None] | None = None

    async def close(self) -> None:
        tasks = [task for task in (self._listening, self._looking) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        for waiter in self._waiters:
            waiter.cancel()

    async def reach(self, target: int) -> None:
        if self.position >= target:
            return  # it came there since the caller looked: nobody would wake a waiter
        waiter = asyncio.get_running_loop().create_future()
        self._waiters[waiter] = target
        try:
            if target > self._nudged:
                self._nudged = target
                await self._nudge()
            if self._looking is None or self._looking.done():
                self._looking = asyncio.create_task(self._look())
            await waiter
        finally:
            self._waiters.pop(waiter, None)

    def _advance(self, position: int) -> None:
        if position <= self.position:
            return
        self.position = position
        for waiter, target in self._waiters.items():
            if target <= position and not waiter.done():
                waiter.set_result(None)

    async def _nudge(self) -> None:
        with suppress(Retry):  # sent again while somebody waits
            await self._log.publish_signal(signals.nudge(self._name), signals.encode(self._nudged))

    async def _listen(self) -> None:
        while True:
            with suppress(Retry):
                async with self._log.signals(signals.projected(self._name)) as heard:
                    async for data in heard:
                        self._advance(signals.decode(data))
            await asyncio.sleep(_LISTEN_AGAIN_S)

    async def _look(self) -> None:
        """Look the position up, at once if it was never known, as long as somebody waits."""
        known = self.position >= 0
        while self._waiters:
            if known:
                await asyncio.sleep(_LOOK_EVERY_S)
            known = True
            with suppress(Retry):
                async with acquire(self._pool) as connection:
                    found = (await generations.pin(connection, [self._name])).positions
                self._advance(found.get(self._name, 0))
            if any(not waiter.done() for waiter in self._waiters):
                await self._nudge()
