"""Recall: what other processes remember of an aggregate is forgotten before its change is answered.

Keepers are processes that remember. Each says once a second that it is there. Whoever has
changed an aggregate names it in a signal, and waits until every keeper has said that it
has forgotten it. One that says nothing is waited for as long as anything may be remembered: so when
`Recaller.recall` has returned, nobody has the old state any more, whatever was lost on the way.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

from rekam_runtime.errors import Retry
from rekam_runtime.eventlog.port import EventLog
from rekam_runtime.process import together

# The longest that a keeper may remember.
KEPT_S = 5.0
_EVERY_S = 1.0
# Long enough to have heard everybody.
_ROUND_S = 1.5 * _EVERY_S
# Who was not heard for so long is not there.
_PRESENT_S = 3.5 * _EVERY_S

_PRESENT = "recall.present"  # the name of who is there
_RECALLED = "recall.recalled"  # a recall's name, and the aggregate's
_FORGOTTEN = "recall.forgotten"  # a recall's name, and a keeper's


# Returns when no other process remembers the aggregate of this name as it was.
Recall = Callable[[str], Awaitable[None]]


class Keeper:
    """A process that remembers: says that it is there, and forgets what is recalled."""

    def __init__(self, log: EventLog, forget: Callable[[str], None]) -> None:
        """forget: drops what is remembered of an aggregate, and what is being asked about it."""
        self._log = log
        self._forget = forget
        self._name = uuid.uuid4().hex
        self._listening = False
        self._announced_at: float | None = None  # the first time

    @property
    def known(self) -> bool:
        """Whether all who recall know of this keeper; only then it may remember."""
        at = self._announced_at
        return at is not None and asyncio.get_running_loop().time() - at > _EVERY_S

    async def run(self) -> None:
        """Listen, and say so, for ever."""
        await together(self._listen(), self._announce())

    async def _announce(self) -> None:
        while True:
            if self._listening:
                with suppress(Retry):
                    await self._log.publish_signal(_PRESENT, f"keeper {self._name}".encode())
                    if self._announced_at is None:
                        self._announced_at = asyncio.get_running_loop().time()
            await asyncio.sleep(_EVERY_S)

    async def _listen(self) -> None:
        async for signal in _heard(self._log, _RECALLED):
            self._listening = True
            if signal:
                recall, _, aggregate = signal.partition(" ")
                self._forget(aggregate)
                with suppress(Retry):
                    await self._log.publish_signal(_FORGOTTEN, f"{recall} {self._name}".encode())


class Recaller:
    """Recalls; `async with` it. Until it knows who is there, a recall takes its time."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._name = f"recaller {uuid.uuid4().hex}"
        self._keepers: dict[str, float] = {}  # when each was last heard
        self._recalls: dict[str, _Recall] = {}
        # It hears itself, too: when it does not, it may not have heard a keeper.
        self._hearing_since = self._heard_at = float("-inf")
        self._work: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Recaller:
        self._work = asyncio.create_task(
            together(self._announce(), self._hear_presence(), self._hear_forgotten()), name="recalls"
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._work is not None:
            self._work.cancel()
            await asyncio.wait([self._work])

    async def recall(self, aggregate: str) -> None:
        """Return when no keeper remembers the aggregate as it was before the call."""
        name, recall = uuid.uuid4().hex, _Recall()
        self._recalls[name] = recall
        end = asyncio.get_running_loop().time() + KEPT_S
        try:
            async with asyncio.timeout_at(end):
                await self._settled()
                recall.missing = self._present()
                if recall.missing:
                    await self._log.publish_signal(_RECALLED, f"{name} {aggregate}".encode())
                    await recall.done.wait()
        except TimeoutError:
            pass  # nobody remembers for so long
        except Retry:
            await asyncio.sleep(end - asyncio.get_running_loop().time())
        finally:
            del self._recalls[name]

    async def _settled(self) -> None:
        """Wait until every keeper that is there was heard."""
        while True:
            now = asyncio.get_running_loop().time()
            if now - self._heard_at <= _PRESENT_S and self._heard_at - self._hearing_since >= _ROUND_S:
                return
            await asyncio.sleep(_EVERY_S / 10)

    def _present(self) -> set[str]:
        now = asyncio.get_running_loop().time()
        self._keepers = {name: at for name, at in self._keepers.items() if now - at <= _PRESENT_S}
        return set(self._keepers)

    async def _announce(self) -> None:
        while True:
            with suppress(Retry):
                await self._log.publish_signal(_PRESENT, self._name.encode())
            await asyncio.sleep(_EVERY_S)

    async def _hear_presence(self) -> None:
        async for signal in _heard(self._log, _PRESENT):
            now = asyncio.get_running_loop().time()
            if signal == self._name:
                if now - self._heard_at > _PRESENT_S:
                    self._hearing_since = now
                self._heard_at = now
                self._present()
            elif signal.startswith("keeper "):
                self._keepers[signal.removeprefix("keeper ")] = now

    async def _hear_forgotten(self) -> None:
        async for signal in _heard(self._log, _FORGOTTEN):
            name, _, keeper = signal.partition(" ")
            if (recall := self._recalls.get(name)) is not None:
                recall.forgotten_by(keeper)


class _Recall:
    """Keepers that have not said yet that they have forgotten."""

    def __init__(self) -> None:
        self.missing: set[str] = set()
        self.done = asyncio.Event()

    def forgotten_by(self, keeper: str) -> None:
        self.missing.discard(keeper)
        if not self.missing:
            self.done.set()


async def _heard(log: EventLog, name: str) -> AsyncIterator[str]:
    """Signals, for ever; an empty one whenever the listening begins."""
    while True:
        with suppress(Retry):
            async with log.signals(name) as signals:
                yield ""
                async for signal in signals:
                    yield signal.decode()
        await asyncio.sleep(_EVERY_S)
