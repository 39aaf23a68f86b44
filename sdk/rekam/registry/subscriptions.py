"""What a program waits for: changes, or another version behind a URI. For a thread, or a task of asyncio."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Generic, Self, TypeVar

from rekam.errors import ChangesMissed
from rekam.registered import ModelChange, ModelVersion
from rekam.registry.uris import ModelUri

log = logging.getLogger("rekam")

T = TypeVar("T")


class Subscription(ABC, Generic[T]):
    """One consumer's: `for` and `async for` wait for what comes next, and end when it is closed."""

    def __init__(self, on_close: Callable[[Subscription[T]], None]) -> None:
        self._on_close = on_close
        self._closed = False
        self._sleeping: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []
        self.renew()

    def renew(self) -> None:
        """In a forked child: a thread that is not there may have held the lock."""
        self._changed = threading.Condition()
        self._sleeping.clear()

    @abstractmethod
    def _waits(self) -> bool:
        """Whether something is there to be taken."""

    @abstractmethod
    def _take(self) -> T:
        """Take it."""

    def get(self, timeout: float | None = None) -> T:
        """What comes next. TimeoutError when nothing does, StopIteration when it is closed."""
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._changed:
            while not self._waits():
                if self._closed:
                    raise StopIteration
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    raise TimeoutError(f"nothing came within {timeout:g} s")
                self._changed.wait(left)
            return self._take()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        return self.get()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        while True:
            sleeping = asyncio.get_running_loop(), asyncio.Event()
            with self._changed:
                if self._waits():
                    return self._take()
                if self._closed:
                    raise StopAsyncIteration
                self._sleeping.append(sleeping)
            try:
                await sleeping[1].wait()
            finally:
                with self._changed, suppress(ValueError):
                    self._sleeping.remove(sleeping)

    def call(self, function: Callable[[T], object]) -> threading.Thread:
        """Call a function with each that comes, in a thread of its own, until it is closed.

        What the function raises is logged, and the next one comes.
        """
        thread = threading.Thread(
            target=self._call_all, args=(function,), name="rekam-registry-call", daemon=True
        )
        thread.start()
        return thread

    def _call_all(self, function: Callable[[T], object]) -> None:
        while True:
            try:
                function(self.get())
            except StopIteration:
                return
            except Exception:
                log.exception("%r failed with what came from the registry", function)

    def close(self) -> None:
        """No more comes; who waits is told."""
        self._on_close(self)
        with self._changed:
            self._closed = True
            self._wake()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _wake(self) -> None:
        """The caller holds the lock."""
        self._changed.notify_all()
        sleeping, self._sleeping = self._sleeping, []
        for loop, event in sleeping:
            # A loop that was closed has nobody who waits.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(event.set)


class Changes(Subscription[ModelChange]):
    """Every change, once and in order.

    Up to `most` wait to be taken. When more come they are dropped, and taking raises ChangesMissed, once;
    so it does when the registry's log was begun anew. Then it goes on with those that came after.
    """

    def __init__(self, on_close: Callable[[Subscription[ModelChange]], None], most: int) -> None:
        self._waiting: deque[ModelChange] = deque()
        self._most = most
        self._missed = ""
        super().__init__(on_close)

    def offer(self, change: ModelChange) -> None:
        """A change has come."""
        with self._changed:
            if len(self._waiting) >= self._most:
                self._miss(f"more than {self._most:,} changes waited to be taken")
            self._waiting.append(change)
            self._wake()

    def miss(self, why: str) -> None:
        """Changes are not known; nothing that waits goes before that."""
        with self._changed:
            self._miss(why)
            self._wake()

    def _miss(self, why: str) -> None:
        self._waiting.clear()
        self._missed = why

    def _waits(self) -> bool:
        return bool(self._waiting or self._missed)

    def _take(self) -> ModelChange:
        if self._missed:
            why, self._missed = self._missed, ""
            raise ChangesMissed(f"changes were missed: {why}; look at the view, then go on")
        return self._waiting.popleft()


class Resolutions(Subscription["ModelVersion | None"]):
    """What a URI means: now, then whenever it is another version, or none (None).

    A consumer that is slow is told the last one only.
    """

    def __init__(self, on_close: Callable[[Subscription[ModelVersion | None]], None], uri: ModelUri) -> None:
        self.uri = uri
        self._latest: ModelVersion | None = None
        self._known = False
        self._taken: tuple[str, int] | None = None
        self._told = False
        super().__init__(on_close)

    def offer(self, version: ModelVersion | None) -> None:
        """It means this one now."""
        with self._changed:
            self._latest, self._known = version, True
            if self._waits():
                self._wake()

    def _waits(self) -> bool:
        return self._known and (not self._told or _identity(self._latest) != self._taken)

    def _take(self) -> ModelVersion | None:
        self._told, self._taken = True, _identity(self._latest)
        return self._latest


def _identity(version: ModelVersion | None) -> tuple[str, int] | None:
    return None if version is None else (version.registered_model_id, version.version)
