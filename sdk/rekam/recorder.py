"""What one process keeps for one server: buffer, spool and sender; forks and exit.

Made when the first run is opened; a forked child that logs gets its own. Offline there is
no sender: what is logged stays in the spool.
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
from collections.abc import Iterable

from rekam import settings
from rekam.delivery.channel import load_grpc
from rekam.delivery.files import deliver_files
from rekam.delivery.heart import Heart
from rekam.delivery.recovery import Recovery
from rekam.delivery.refusals import Refusals
from rekam.delivery.sender import Sender
from rekam.errors import DeliveryTimeout, SpoolError
from rekam.recording.buffer import Buffer
from rekam.recording.writer import RunWriter
from rekam.settings import Settings
from rekam.spool.kept import Kept
from rekam.spool.spool import Spool
from rekam.transfer.local import LocalFile

log = logging.getLogger("rekam")

_HANDLES = 65_536
# A disk that refused a write is tried again so often while somebody waits for it.
_RETRY_DISK_SECONDS = 0.5


class Recorder:
    """Records of this process on their way to `target` (host:port)."""

    def __init__(self, target: str, options: Settings, *, offline: bool = False) -> None:
        self.target = target
        # By choice: nothing connects. Else whether there is a server is seen by trying.
        self.offline = offline
        self._options = options
        self._lock = threading.RLock()
        self._writers: weakref.WeakSet[RunWriter] = weakref.WeakSet()
        self._parts: tuple[Spool, Buffer, Sender | None] | None = None
        self._refusals = Refusals()
        self._heart: Heart | None = None
        self._recovery: Recovery | None = None
        self._handles = 0
        # Whether files wait in the spool.
        self._keeps = False
        self._files_lock = threading.Lock()

    def open_run(self, run_id: str, rank: int | None, *, waits: bool = False) -> RunWriter:
        """A new writer of a run. Nothing is sent before it logs.

        waits: the server may not know the run yet; what is logged waits until it does.
        """
        writer = RunWriter(run_id, rank, self._attach, waits=waits)
        with self._lock:
            self._writers.add(writer)
        return writer

    def end_run(self, writer: RunWriter) -> None:
        """Nobody writes with it any more: the server need not hear that it lives."""
        writer.ended = True
        if self._heart is not None:
            self._heart.wake()

    def settle(self, timeout: float, *, give_up_offline: bool = False, files: bool = True) -> bool:
        """Wait until everything logged so far is acknowledged or refused; False when it was not in time.

        files: also deliver those that wait; a query that is not about files needs none.

        Offline: until it is on disk. give_up_offline: return as soon as an attempt to connect fails,
        or a run is missing that records wait for.
        Raises SpoolError when the disk refuses it to the end.
        """
        parts = self._parts
        if parts is None:
            return True
        spool, buffer, sender = parts
        deadline = time.monotonic() + timeout
        if not _drained(spool, buffer, deadline):
            return False
        if sender is None:
            return True
        position = spool.last
        if not give_up_offline:
            settled = spool.wait_acknowledged(position, deadline)
            return settled and (not files or self._deliver_files(spool, deadline))
        sender.try_now()
        with spool.changed:
            spool.changed.wait_for(
                lambda: spool.acknowledged >= position or sender.reachable is False or bool(sender.missing),
                max(0.0, deadline - time.monotonic()),
            )
        return spool.acknowledged >= position and (not files or self._deliver_files(spool, deadline))

    def keep(self, run_id: str, files: Iterable[LocalFile]) -> None:
        """Keep copies of files, to be delivered later, within the spool's bound. SpoolError beyond that."""
        with self._lock:
            if self._parts is None:
                self._start()
            assert self._parts is not None
            spool = self._parts[0]
        with self._files_lock:
            kept = Kept(spool.directory)
            kept.add(run_id, files, self._options.spool_bytes - spool.bytes - kept.bytes)
            self._keeps = True

    @property
    def away(self) -> bool:
        """Whether the last attempt to reach the server failed."""
        sender = self._parts[2] if self._parts else None
        return sender is not None and sender.reachable is False

    def _deliver_files(self, spool: Spool, deadline: float) -> bool:
        """Deliver files that wait; whether none is left."""
        if not self._keeps:
            return True
        with self._files_lock:
            timeout = max(0.0, deadline - time.monotonic())
            self._keeps = bool(deliver_files(spool.directory, self.target, self._options, timeout).left)
            return not self._keeps

    def flush(self, timeout: float) -> None:
        """`settle`, or raise: DeliveryTimeout, RefusedRecords, SpoolError."""
        settled = self.settle(timeout)
        self._refusals.raise_any()
        if not settled and self.offline:
            raise DeliveryTimeout(f"the disk did not take everything within {timeout:g} s; {self.where()}")
        if not settled:
            raise DeliveryTimeout(
                f"{self.target} did not acknowledge everything within {timeout:g} s; {self.where()}"
            )

    def raise_refusals(self) -> None:
        """Raise RefusedRecords when the server refused something since the last time."""
        self._refusals.raise_any()

    def recover(self, timeout: float) -> None:
        """Deliver what ended processes left behind, waiting for at most `timeout` seconds."""
        self._recover().tried.wait(timeout)

    def where(self) -> str:
        """For people: where what is not delivered lies and what becomes of it."""
        place = self._parts[0].directory if self._parts else self._options.spool_dir
        if self.offline:
            return f"it is in the spool {place}; `rekam sync` delivers it"
        return (
            f"it stays in the spool {place} and is delivered while this process runs, by the next one on "
            "this host that logs to the same server, or by `rekam sync`"
        )

    def close(self, timeout: float) -> None:
        """Deliver for at most `timeout` seconds, then stop. Says what stays behind."""
        parts = self._parts
        if parts is None:
            if self._recovery is not None:
                self._recovery.close()
            return
        spool, buffer, sender = parts
        try:
            if not self.settle(timeout, give_up_offline=True):
                log.warning("not everything was delivered to %s: %s", self.target, self.where())
        except SpoolError as error:
            log.error("%s", error)
        if buffer.held:
            log.error(
                "the spool %s took no more: %d bytes of what was logged last are lost with this process",
                spool.directory,
                buffer.held,
            )
        if self._recovery is not None:
            self._recovery.close()
        if self._heart is not None:
            self._heart.close()
        buffer.close()
        if sender is not None:
            sender.close()
        try:
            spool.close()
        except SpoolError as error:
            log.error("%s", error)
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
        if not self.offline:
            load_grpc()
        if multiprocessing.process.parent_process() is not None:
            # Such a child may leave by os._exit and runs only these finalizers.
            multiprocessing.util.Finalize(None, close_all, exitpriority=0)
        spool = Spool.create(
            options.spool_dir,
            self.target,
            limit=options.spool_bytes,
            spill_root=options.spill_root,
            spill_limit=options.spill_bytes,
            fsync=options.spool_fsync,
            fsync_seconds=options.spool_fsync_seconds,
        )
        buffer = Buffer(
            spool,
            limit=options.buffer_bytes,
            flush_interval=options.flush_interval,
            # Offline nobody makes room: to wait for it would be to hang.
            raise_when_full=self.offline or options.on_full == "raise",
        )
        if self.offline:
            self._parts = (spool, buffer, None)
            log.warning(
                "offline: what is logged for %s goes into %s only; `rekam sync --dir %s` delivers it",
                self.target,
                spool.directory,
                spool.directory.parent,
            )
            return
        self._parts = (spool, buffer, Sender(self.target, spool, self._refusals))
        if options.heartbeat_seconds > 0:
            self._heart = Heart(self.target, options.heartbeat_seconds, self._active)
        self._recover()

    def _recover(self) -> Recovery:
        with self._lock:
            if self._recovery is None or self._recovery.over:
                load_grpc()
                self._recovery = Recovery(self._options.spool_roots, self.target)
            return self._recovery

    def forked(self) -> None:
        """In a forked child: forget what is the parent's: its threads, its spool, its rows."""
        inherited: list[object] = [self._parts, self._recovery, self._heart]
        if self._parts is not None:
            self._parts[0].abandon()
        if self._recovery is not None:
            inherited.append(self._recovery.abandon())
        # Never to be freed: they hold gRPC's objects, which do not work in this process.
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(inherited))
        self._parts = None
        self._recovery = None
        self._heart = None
        self._keeps = False
        self._files_lock = threading.Lock()
        self._lock = threading.RLock()
        self._refusals = Refusals()
        for writer in list(self._writers):
            writer.forked()


def _drained(spool: Spool, buffer: Buffer, deadline: float) -> bool:
    """Whether everything logged so far is on disk by `deadline`; a disk that refuses it is tried again."""
    while True:
        try:
            if not buffer.drain(deadline):
                return False
            if spool.outstanding:
                spool.sync()
            return True
        except SpoolError:
            if time.monotonic() + _RETRY_DISK_SECONDS > deadline:
                raise
            time.sleep(_RETRY_DISK_SECONDS)


_recorders: dict[tuple[str, bool], Recorder] = {}
_lock = threading.Lock()


def recorder_for(target: str, *, offline: bool) -> Recorder:
    """This process' recorder for host:port."""
    with _lock:
        recorder = _recorders.get((target, offline))
        if recorder is None:
            recorder = _recorders[target, offline] = Recorder(target, settings.current(), offline=offline)
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
