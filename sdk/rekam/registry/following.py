"""Follows the registry for ever: one stream, read by a thread, begun again whenever it is cut off."""

from __future__ import annotations

import ctypes
import logging
import math
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from rekam import errors
from rekam import registered_conversion as conversion
from rekam.offline import is_offline
from rekam.registered import ModelVersion, RegisteredModel
from rekam.registry.folding import Followed
from rekam.registry.view import Filter, View
from rekam.server import Server, error_from, server_for
from rekam_proto.registry.v1 import history_pb2, watch_pb2

log = logging.getLogger("rekam")

_RETRY_SECONDS = (0.05, 0.1, 0.2, 0.5, 1.0)
# So long is a restart, and not worth a word.
_QUIET_SECONDS = 5.0
# Of what has to be asked because of a change.
_ANSWER_SECONDS = 20.0
# Heartbeats that may fail to come before the stream is begun again; its first answer may take longer.
_SILENT_BEATS = 4
_FIRST_ANSWER_SECONDS = 20.0


class Listener(Protocol):
    """Called by the following thread; must not wait."""

    def begin(self, view: View, resumed: bool) -> None:
        """A view that replaces the one before. resumed: the first one, or nothing was missed before it."""

    def take(self, change: history_pb2.Change) -> None:
        """A change that the view has now."""


@dataclass(slots=True)
class Hearing:
    """When the registry was heard of last: time.time(), and time.monotonic() when it was in this program."""

    connected: bool = False
    heard: float | None = None
    heard_monotonic: float | None = None
    behind: bool = False
    error: errors.RekamError | None = None

    def silent_s(self) -> float:
        """Seconds since then; infinity when it never was."""
        if self.heard_monotonic is not None:
            return time.monotonic() - self.heard_monotonic
        # Of an earlier program there is only the clock on the wall.
        return math.inf if self.heard is None else max(0.0, time.time() - self.heard)


class Follower:
    """Keeps a view current, and tells a listener. Begin with `start`; a forked child begins anew."""

    def __init__(
        self,
        target: str,
        filter: Filter,
        heartbeat_s: float,
        view: View | None,
        listener: Listener,
        keep: Callable[[], None],
    ) -> None:
        """view: to go on from. keep: called every now and then, by another thread than the listener."""
        self._target = target
        self.filter = filter
        self._keep = keep
        self._heartbeat_s = heartbeat_s
        self._listener = listener
        self._call: Any = None
        self._asked = 0.0
        self._threads: list[threading.Thread] = []
        self._closing = threading.Event()
        self._starts_over = False
        # Held while a change is taken in and told, and while a process is forked.
        self.applying = threading.Lock()
        self.view = view
        self.hearing = Hearing()

    def start(self) -> None:
        """Follow from now on, in threads of its own."""
        self._asked = time.monotonic()
        self._threads = [
            threading.Thread(target=target, name=f"rekam-registry-{name}", daemon=True)
            for name, target in (("follow", self._follow), ("mind", self._mind))
        ]
        for thread in self._threads:
            thread.start()

    def forked(self) -> None:
        """In a forked child: what the threads held is left, the view goes on from where it is."""
        # Never to be freed: gRPC's objects do not work in this process.
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._call))
        self._call = None
        self._threads = []
        self._closing = threading.Event()
        self.applying = threading.Lock()
        self.hearing.connected = False

    def close(self, timeout: float) -> None:
        """Stop following."""
        self._closing.set()
        self._cancel()
        deadline = time.monotonic() + timeout
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(max(0.0, deadline - time.monotonic()))

    # ---- the threads ----

    def _follow(self) -> None:
        import grpc

        tries = 0
        while not self._closing.is_set():
            heard = self.hearing.heard_monotonic
            try:
                self._watch(server_for(self._target))
                # It ends by itself only when the server stops.
                found: errors.RekamError = errors.Unavailable(f"{self._target}: the stream has ended")
            except grpc.RpcError as error:
                found = error_from(error, self._target)
            except errors.RekamError as error:
                found = error
            except Exception as error:
                log.exception("following the registry at %s failed; beginning anew", self._target)
                found, self._starts_over = errors.RekamError(str(error)), True
                self._closing.wait(_RETRY_SECONDS[-1])
            if isinstance(found, errors.FailedPrecondition):
                self._starts_over = True
            self.hearing.connected, self.hearing.error = False, found
            tries = 0 if self.hearing.heard_monotonic != heard else tries + 1
            wait = _RETRY_SECONDS[min(tries, len(_RETRY_SECONDS) - 1)]
            self._closing.wait(wait * random.uniform(0.5, 1.0))

    def _mind(self) -> None:
        """End a stream that has fallen silent, and say so when nothing is heard for long."""
        told, begun = False, time.monotonic()
        while not self._closing.wait(self._heartbeat_s / 2):
            self._keep()
            silent_s = self.hearing.silent_s()
            allowed_s = _SILENT_BEATS * self._heartbeat_s
            if not self.hearing.connected:
                allowed_s = max(allowed_s, _FIRST_ANSWER_SECONDS)
            if min(silent_s, time.monotonic() - self._asked) > allowed_s:
                self._cancel()
            if self.view is not None and min(silent_s, time.monotonic() - begun) > (
                _QUIET_SECONDS + self._heartbeat_s
            ):
                if not told:
                    log.warning(
                        "the registry at %s is not heard of for %.0f s: %s; what is known goes on",
                        self._target,
                        silent_s,
                        self.hearing.error or "silence",
                    )
                told = True
            elif told:
                log.info("the registry at %s is heard of again", self._target)
                told = False

    # ---- one stream ----

    def _watch(self, server: Server) -> None:
        if is_offline():
            raise errors.Unavailable(f"offline (REKAM_OFFLINE or set_offline): {self._target} is not asked")
        view = None if self._starts_over else self.view
        request = watch_pb2.WatchRequest(
            names=sorted(self.filter.names),
            name_prefix=self.filter.prefix,
            resume_after=view.position if view is not None else 0,
            heartbeat_ms=round(self._heartbeat_s * 1_000),
        )
        self._asked = time.monotonic()
        call = server.registry.watch.Watch(request)
        self._call = call
        try:
            if self._closing.is_set():
                return
            # Position 0 is an empty log: it begins with what is there, as a new one does.
            self._read(call, server, None if request.resume_after == 0 else view)
        finally:
            call.cancel()

    def _read(self, call: Any, server: Server, view: View | None) -> None:
        gathered = _Snapshot()
        for response in call:
            self._heard()
            match response.WhichOneof("kind"):
                case "model" | "version":
                    gathered.take(response)
                case "snapshot_end":
                    view = View(self.filter, gathered.models(), response.position)
                    self._begin(view)
                case "behind":
                    self.hearing.behind = True
                case "heartbeat":
                    self.hearing.behind = False
                    if view is not None:
                        view.position = max(view.position, response.position)
                case "change" if view is not None and response.position > view.position:
                    self._take(response.change, view, server)
                case _:
                    pass

    def _begin(self, view: View) -> None:
        with self.applying:
            resumed = self.view is None
            self.view, self._starts_over = view, False
            self._listener.begin(view, resumed)

    def _take(self, change: history_pb2.Change, view: View, server: Server) -> None:
        loaded = self._load(change.name, server) if view.lacks(change) else ()
        with self.applying:
            for each in loaded:
                view.add(each)
            view.take(change)
            view.position = view.changed = change.position
            self._listener.take(change)

    def _load(self, name: str, server: Server) -> list[Followed]:
        """The model that has a name now, where it is not known because it had another one."""
        gathered = _Snapshot()
        call = server.registry.watch.Watch(watch_pb2.WatchRequest(names=[name]), timeout=_ANSWER_SECONDS)
        try:
            for response in call:
                if response.HasField("snapshot_end"):
                    return gathered.models(as_of=response.position)
                gathered.take(response)
        finally:
            call.cancel()
        raise errors.Unavailable(f"{self._target}: the stream has ended")

    def _heard(self) -> None:
        hearing = self.hearing
        hearing.heard, hearing.heard_monotonic = time.time(), time.monotonic()
        hearing.connected, hearing.error = True, None

    def _cancel(self) -> None:
        call = self._call
        if call is not None:
            call.cancel()


class _Snapshot:
    """Models, each followed by its versions, as they come."""

    def __init__(self) -> None:
        self._models: list[tuple[RegisteredModel, dict[int, ModelVersion]]] = []

    def take(self, response: watch_pb2.WatchResponse) -> None:
        if response.HasField("model"):
            self._models.append((conversion.registered_model_from(response.model), {}))
        else:
            version = conversion.model_version_from(response.version)
            self._models[-1][1][version.version] = version

    def models(self, as_of: int = 0) -> list[Followed]:
        return [Followed.read(model, versions, as_of) for model, versions in self._models]
