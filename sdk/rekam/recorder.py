"""What one process keeps for one server: buffer, spool and sender; forks and exit.

Made when the first run is opened; a forked child that logs gets its own.
"""

from __future__ import annotations

import atexit
import ctypes
import logging
import multiprocessing.process
import multiprocessing.util
import os
import threading
import time
import weakref

from rekam import settings
from rekam.delivery.channel import load_grpc
from rekam.delivery.heart import Heart
from rekam.delivery.refusals import Refusals
from rekam.delivery.sender import Sender
from rekam.errors import DeliveryTimeout
from rekam.recording.buffer import Buffer
from rekam.recording.writer import RunWriter
from rekam.settings import Settings
from rekam.spool import directory as spool_directory
from rekam.spool.spool import Spool

log = logging.getLogger("rekam")

_HANDLES = 65_536


class Recorder:
    """Records of this process on their way to `target` (host:port)."""

    def __init__(self, target: str, options: Settings) -> None:
        self.target = target
        self._options = options
        self._lock = threading.RLock()
        self._writers: weakref.WeakSet[RunWriter] = weakref.WeakSet()
        self._parts: tuple[Spool, Buffer, Sender] | None = None
        self._refusals = Refusals()
        self._heart: Heart | None = None
        # Spools that ended processes left behind, while they are delivered.
        self._recoveries: list[tuple[Spool, Sender]] = []
        self._handles = 0

    def open_run(self, run_id: str, rank: int | None) -> RunWriter:
        """A new writer of a run. Nothing is sent before it logs."""
        writer = RunWriter(run_id, rank, self._attach)
        with self._lock:
            self._writers.add(writer)
        return writer

    def end_run(self, writer: RunWriter) -> None:
        """Nobody writes with it any more: the server need not hear that it lives."""
        writer.ended = True
        if self._heart is not None:
            self._heart.wake()

    @property
    def offline(self) -> bool:
        """Whether the last attempt to reach the server failed."""
        parts = self._parts
        return parts is not None and parts[2].reachable is False

    def settle(self, timeout: float, *, give_up_offline: bool = False) -> bool:
        """Wait until everything logged so far is acknowledged or refused; False when it was not in time.

        give_up_offline: return as soon as an attempt to connect fails.
        """
        parts = self._parts
        if parts is None:
            return True
        spool, buffer, sender = parts
        deadline = time.monotonic() + timeout
        if not buffer.drain(deadline):
            return False
        position = spool.last
        if spool.acknowledged < position:
            spool.sync()
        if not give_up_offline:
            return spool.wait_acknowledged(position, deadline)
        sender.try_now()
        with spool.changed:
            spool.changed.wait_for(
                lambda: spool.acknowledged >= position or sender.reachable is False,
                max(0.0, deadline - time.monotonic()),
            )
        return spool.acknowledged >= position

    def flush(self, timeout: float) -> None:
        """`settle`, or raise: DeliveryTimeout, RefusedRecords, SpoolError."""
        settled = self.settle(timeout)
        self._refusals.raise_any()
        if not settled:
            raise DeliveryTimeout(
                f"{self.target} did not acknowledge everything within {timeout:g} s; {self.where()}"
            )

    def raise_refusals(self) -> None:
        """Raise RefusedRecords when the server refused something since the last time."""
        self._refusals.raise_any()

    def where(self) -> str:
        """For people: where what is not delivered lies and what becomes of it."""
        place = self._parts[0].directory if self._parts else self._options.spool_dir
        return (
            f"it stays in the spool {place} and is delivered while this process runs, or by the next "
            "one on this host that logs to the same server"
        )

    def close(self, timeout: float) -> None:
        """Deliver for at most `timeout` seconds, then stop. Says what stays behind."""
        parts = self._parts
        if parts is None:
            return
        spool, buffer, sender = parts
        if not self.settle(timeout, give_up_offline=True):
            log.warning("not everything was delivered to %s: %s", self.target, self.where())
        for _, recovery in self._recoveries:
            recovery.close()
        if self._heart is not None:
            self._heart.close()
        buffer.close()
        sender.close()
        spool.close()
        self._parts = None

    # ---- parts ----

    def _attach(self) -> tuple[Buffer, int]:
        with self._lock:
            if self._parts is None:
                self._start()
            assert self._parts is not None
            buffer, handle = self._parts[1], self._handles % _HANDLES
            self._handles += 1
        # Not under the lock: the heart takes it to see who is active.
        if self._heart is not None:
            self._heart.wake()
        return buffer, handle

    def _active(self) -> list[RunWriter]:
        with self._lock:
            return [writer for writer in self._writers if writer.active]

    def _start(self) -> None:
        options = self._options
        load_grpc()
        if multiprocessing.process.parent_process() is not None:
            # Such a child may leave by os._exit and runs only these finalizers.
            multiprocessing.util.Finalize(None, close_all, exitpriority=0)
        # First: a spool of our own must not be taken for one left behind.
        behind = list(spool_directory.left_behind(options.spool_dir, self.target))
        spool = Spool.create(
            options.spool_dir,
            self.target,
            limit=options.spool_bytes,
            fsync=options.spool_fsync,
            fsync_seconds=options.spool_fsync_seconds,
        )
        buffer = Buffer(
            spool,
            limit=options.buffer_bytes,
            flush_interval=options.flush_interval,
            raise_when_full=options.on_full == "raise",
        )
        self._parts = (spool, buffer, Sender(self.target, spool, self._refusals))
        if options.heartbeat_seconds > 0:
            self._heart = Heart(self.target, options.heartbeat_seconds, self._active)
        for directory, lock in behind:
            old = Spool.adopt(directory, lock)
            log.warning("delivering %d bytes that an ended process left in %s", old.bytes, directory)
            recovery = Sender(self.target, old, Refusals(), until_empty=True, finished=old.close)
            self._recoveries.append((old, recovery))

    def forked(self) -> None:
        """In a forked child: forget what is the parent's: its threads, its spool, its rows."""
        if self._parts is not None:
            for spool in (self._parts[0], *(old for old, _ in self._recoveries)):
                spool.abandon()
            # Never to be freed: they hold gRPC's objects, which do not work in this process.
            ctypes.pythonapi.Py_IncRef(ctypes.py_object((self._parts, self._recoveries, self._heart)))
        self._parts = None
        self._heart = None
        self._recoveries = []
        self._lock = threading.RLock()
        self._refusals = Refusals()
        for writer in list(self._writers):
            writer.forked()


_recorders: dict[str, Recorder] = {}
_lock = threading.Lock()


def recorder_for(target: str) -> Recorder:
    """This process' recorder for host:port."""
    with _lock:
        recorder = _recorders.get(target)
        if recorder is None:
            recorder = _recorders[target] = Recorder(target, settings.current())
        return recorder


def close_all() -> None:
    """At exit: deliver what is left, for a bounded time."""
    deadline = time.monotonic() + settings.current().exit_timeout
    for recorder in list(_recorders.values()):
        recorder.close(max(0.1, deadline - time.monotonic()))


def _forked() -> None:
    global _lock
    _lock = threading.Lock()
    for recorder in list(_recorders.values()):
        recorder.forked()


atexit.register(close_all)
if hasattr(os, "register_at_fork"):
    # The parent's side needs nothing: a child shares no thread and no open file with it.
    os.register_at_fork(after_in_child=_forked)
