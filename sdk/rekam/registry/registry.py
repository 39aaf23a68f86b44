"""Registry: what the registry has, in memory, always current."""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
import time
import weakref
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from rekam import registered_conversion as conversion
from rekam import settings
from rekam.address import target_of
from rekam.errors import FailedPrecondition, Invalid, NotFound, Refused, Unavailable
from rekam.registered import ModelVersion, RegisteredModel
from rekam.registry.following import Follower
from rekam.registry.kept import KeptView
from rekam.registry.subscriptions import Changes, Resolutions, Subscription
from rekam.registry.uris import parse
from rekam.registry.view import Filter, View
from rekam_proto.registry.v1 import history_pb2

_MOST_NAMES = 1_000
_MOST_WAITING = 10_000
_CLOSE_SECONDS = 5.0
_Opened = TypeVar("_Opened", bound=Subscription[Any])


@dataclass(frozen=True, slots=True)
class Status:
    """How current a view is.

    connected: changes come as they happen. position: of the registry's log; everything up to it is in the
    view. heard: when the registry was heard of last, None if never: while it is connected a heartbeat ago at
    most. silent_s: seconds since then. behind: changes wait at the registry, which tells them now. error: why
    it is not connected.
    """

    connected: bool
    position: int
    heard: datetime | None
    silent_s: float
    behind: bool
    error: str


class Registry:
    """Follows the registry and answers from memory, also while the registry is down. Any thread may ask.

    tracking_uri: as of Client. names, prefix: follow the models with one of these names (up to 1,000), and
    those whose names begin so; without both, all. heartbeat: seconds, 0.1 to 60, after which a registry that
    has nothing to tell is heard of all the same. keep_in: a file for the view, so that a program may start
    while the registry is down.

    It follows from the beginning, in threads of its own; `with` and `async with` wait for the first view
    and close it at the end. A forked child goes on by itself.
    """

    def __init__(
        self,
        tracking_uri: str | None = None,
        *,
        names: Iterable[str] = (),
        prefix: str = "",
        heartbeat: float = 2.0,
        keep_in: str | PathLike[str] | None = None,
    ) -> None:
        if tracking_uri is None:
            from rekam.fluent import destination

            tracking_uri = destination.get_tracking_uri()
        if isinstance(names, str):
            raise Invalid(f"is several names: [{names!r}]", field="names")
        filter = Filter(frozenset(names), prefix)
        if len(filter.names) > _MOST_NAMES:
            raise Invalid(f"at most {_MOST_NAMES:,} names, got {len(filter.names):,}", field="names")
        if not 0.1 <= heartbeat <= 60:
            raise Invalid(f"is 0.1 to 60 seconds, got {heartbeat:g}", field="heartbeat")
        target = target_of(tracking_uri)
        self.tracking_uri = tracking_uri
        self._subscriptions: set[Subscription[Any]] = set()
        self._closed = False
        self._kept = None if keep_in is None else KeptView(Path(keep_in), target, filter)
        found = None if self._kept is None else self._kept.load()
        self._follower = Follower(target, filter, heartbeat, found[0] if found else None, self, self._keep)
        if found:
            self._follower.hearing.heard = found[1]
        self._renew()
        if found:
            self._began.set()
        _open.add(self)
        self._follower.start()

    # ---- asking ----

    def resolve(self, model_uri: str, *, max_silence: float | None = None) -> ModelVersion:
        """The version that a URI means, without its signature; see Client.resolve_model.

        Answered from memory. max_silence: seconds since the registry was heard of, after which an answer is
        worth nothing: Unavailable. Also while there is no view yet. NotFound when nothing is there, Invalid
        for a model that is not followed.
        """
        uri = parse(model_uri)
        view = self._view()
        if max_silence is not None and (silent_s := self._follower.hearing.silent_s()) > max_silence:
            raise Unavailable(
                f"{self.tracking_uri} is not heard of for {silent_s:.1f} s, more than {max_silence:g} s"
            )
        return view.find(uri)

    def get_registered_model(self, name: str) -> RegisteredModel:
        """A model with its tags, aliases and the latest version of each stage; NotFound, Invalid as above."""
        return self._view().model(name).described()

    def get_model_versions(self, name: str) -> list[ModelVersion]:
        """All versions of a model, the first one first."""
        return [version for _, version in sorted(self._view().model(name).versions.items())]

    def registered_models(self) -> list[RegisteredModel]:
        """All models that are followed and there, by name."""
        return [each.described() for each in self._view().models()]

    @property
    def status(self) -> Status:
        """How current the view is."""
        self._go_on()
        view, hearing = self._follower.view, self._follower.hearing
        return Status(
            connected=hearing.connected,
            position=0 if view is None else view.position,
            heard=None if hearing.heard is None else datetime.fromtimestamp(hearing.heard, UTC),
            silent_s=hearing.silent_s(),
            behind=hearing.behind,
            error="" if hearing.error is None else str(hearing.error),
        )

    # ---- hearing of changes ----

    def follow(self, model_uri: str) -> Resolutions:
        """What a URI means: now, then whenever that is another version; None when nothing is there.

        `for` and `async for` wait; Resolutions.call does so in a thread. Close it, or the registry.
        """
        uri = parse(model_uri)
        if not self._follower.filter.has(uri.name):
            raise Invalid(f"the model {uri.name!r} is not followed here", field="uri")
        return self._opened(Resolutions(self._forget, uri))

    def changes(self, *, most_waiting: int = _MOST_WAITING) -> Changes:
        """Every change from now on, once and in order, as `follow` gives versions.

        most_waiting: bound of those that wait to be taken; see Changes.
        """
        return self._opened(Changes(self._forget, most_waiting))

    # ---- its life ----

    def wait(self, timeout: float | None = None) -> None:
        """Return when there is a view; Unavailable when there is none in time.

        timeout: seconds, REKAM_CONNECT_TIMEOUT if None.
        """
        self._go_on()
        timeout = settings.current().connect_timeout if timeout is None else timeout
        deadline = time.monotonic() + timeout
        while not self._began.wait(min(0.1, max(0.0, deadline - time.monotonic()))):
            error = self._follower.hearing.error
            if isinstance(error, Refused) and not isinstance(error, FailedPrecondition):
                raise error
            if time.monotonic() >= deadline:
                raise Unavailable(f"{self.tracking_uri} has not been heard of within {timeout:g} s: {error}")

    def close(self) -> None:
        """Stop following; who waits for changes is told that no more come. The view stays as it is."""
        self._closed = True
        _open.discard(self)
        self._follower.close(_CLOSE_SECONDS)
        self._keep(at_end=True)
        for each in self._each_subscription():
            each.close()

    def __enter__(self) -> Self:
        try:
            self.wait()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return await asyncio.to_thread(self.__enter__)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.close)

    # ---- what the follower tells ----

    def begin(self, view: View, resumed: bool) -> None:
        """A view is there, or is another one."""
        self._began.set()
        for each in self._each_subscription():
            if isinstance(each, Changes) and not resumed:
                each.miss("the registry's log was begun anew")
            elif isinstance(each, Resolutions):
                self._offer(each, view)

    def take(self, change: history_pb2.Change) -> None:
        """The view has a change."""
        view = self._follower.view
        assert view is not None, "a change comes after its view"
        told = None
        for each in self._each_subscription():
            if isinstance(each, Changes):
                told = told or conversion.change_from(change)
                each.offer(told)
            elif isinstance(each, Resolutions):
                self._offer(each, view)

    def _offer(self, resolutions: Resolutions, view: View) -> None:
        try:
            resolutions.offer(view.find(resolutions.uri))
        except NotFound:
            resolutions.offer(None)

    # ---- inside ----

    def _view(self) -> View:
        self._go_on()
        view = self._follower.view
        if view is None:
            raise Unavailable(
                f"{self.tracking_uri} has not been heard of yet: {self._follower.hearing.error or 'wait()'}"
            )
        return view

    def _opened(self, subscription: _Opened) -> _Opened:
        self._go_on()
        # No change comes in between.
        with self._follower.applying:
            with self._lock:
                if self._closed:
                    raise FailedPrecondition("the registry is closed")
                self._subscriptions.add(subscription)
            if isinstance(subscription, Resolutions) and self._follower.view is not None:
                self._offer(subscription, self._follower.view)
        return subscription

    def _each_subscription(self) -> list[Subscription[Any]]:
        with self._lock:
            return list(self._subscriptions)

    def _forget(self, subscription: Subscription[Any]) -> None:
        with self._lock:
            self._subscriptions.discard(subscription)

    def _keep(self, *, at_end: bool = False) -> None:
        view, heard = self._follower.view, self._follower.hearing.heard
        if self._kept is None or view is None or heard is None:
            return
        # Of what others do, of which nothing is told here, only the position changes.
        if at_end or self._kept.is_behind(view.changed):
            with self._follower.applying:
                models, position, changed = view.models(), view.position, view.changed
            self._kept.save(models, position, changed, heard)

    def _renew(self) -> None:
        self._lock = threading.Lock()
        self._began = threading.Event()
        self._forked = False

    def _go_on(self) -> None:
        """In a forked child, which has no thread of its parent's: follow from where the view is."""
        if self._forked and not self._closed:
            with self._lock:
                forked, self._forked = self._forked, False
            if forked:
                self._follower.start()

    def hold(self) -> None:
        """Before a fork."""
        self._follower.applying.acquire()
        self._lock.acquire()

    def release(self) -> None:
        """After it, in the parent."""
        self._lock.release()
        self._follower.applying.release()

    def forked(self) -> None:
        """After it, in the child."""
        self._renew()
        if self._follower.view is not None:
            self._began.set()
        self._forked = True
        self._follower.forked()
        for each in self._subscriptions:
            each.renew()


_open: weakref.WeakSet[Registry] = weakref.WeakSet()
# Held from before a fork until after it, with those that are open then.
_forking = threading.Lock()
_held: list[Registry] = []


def _close_all() -> None:
    for registry in list(_open):
        registry.close()


def _hold() -> None:
    """No change is half taken in when a child comes to be."""
    _forking.acquire()
    for registry in list(_open):
        registry.hold()
        _held.append(registry)


def _release() -> None:
    while _held:
        _held.pop().release()
    _forking.release()


def _forked() -> None:
    while _held:
        _held.pop().forked()
    _forking.release()


# Threads that are in gRPC when the interpreter ends may hang it.
atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_hold, after_in_parent=_release, after_in_child=_forked)
