"""Delivers what ended processes of this host left behind."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from pathlib import Path

from rekam import settings
from rekam.delivery.files import FileDelivery, deliver_files
from rekam.delivery.refusals import Refusals
from rekam.delivery.sender import Sender
from rekam.errors import SpoolError
from rekam.spool import directory as spool_directory
from rekam.spool.spool import Spool

log = logging.getLogger("rekam")

_FIRST_PAUSE = 5.0
_LONGEST_PAUSE = 60.0


class Recovery:
    """A thread that delivers spools left behind, one at a time and the oldest first.

    So a run is created before what a later process logged into it, and several processes
    that start at once share the work. It ends when nothing is left.

    tried: set when each of them was delivered, or cannot be for now.
    """

    def __init__(self, roots: Sequence[Path], target: str) -> None:
        self.tried = threading.Event()
        self._roots = roots
        self._target = target
        self._current: tuple[Spool, Sender] | None = None
        self._state = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="rekam-recover", daemon=True)
        self._thread.start()

    @property
    def over(self) -> bool:
        """Whether nothing more will come of it."""
        return not self._thread.is_alive()

    def close(self, timeout: float = 5.0) -> None:
        """Stop; what is not delivered stays for the next process, or `rekam sync`."""
        with self._state:
            self._closed = True
            self._state.notify_all()
            current = self._current
        if current is not None:
            current[1].close()
        self._thread.join(timeout)

    def abandon(self) -> object:
        """In a forked child: let go of the spool in hand. What is answered must not be freed there."""
        if self._current is not None:
            self._current[0].abandon()
        return self._current

    def _run(self) -> None:
        pause = _FIRST_PAUSE
        while self._round() and not self._closed:
            self.tried.set()
            with self._state:
                self._state.wait_for(lambda: self._closed, pause)
            pause = min(pause * 2, _LONGEST_PAUSE)
        self.tried.set()

    def _round(self) -> bool:
        """Go through all once; whether one of them waits for a run."""
        waits = False
        for directory, lock in spool_directory.left_behind(self._roots, self._target):
            if self._closed:
                lock.release()
                break
            try:
                spool = Spool.adopt(directory, lock)
            except SpoolError as error:
                log.error("%s", error)
                continue
            waits = not self._deliver(spool) or waits
        return waits

    def _deliver(self, spool: Spool) -> bool:
        """Deliver one; False when it waits for a run, or files of it for a server."""
        whole = self._deliver_records(spool) and not self._deliver_files(spool).left
        spool.close()
        return whole

    def _deliver_files(self, spool: Spool) -> FileDelivery:
        options = settings.current()
        return deliver_files(spool.directory, self._target, options, options.retry_timeout)

    def _deliver_records(self, spool: Spool) -> bool:
        if not spool.outstanding:
            return True
        log.warning("delivering %d bytes that an ended process left in %s", spool.bytes, spool.directory)
        sender = Sender(self._target, spool, Refusals(), until_empty=True)
        with self._state:
            self._current = (spool, sender)
            closed = self._closed
        if closed:
            sender.close()
        sender.ended.wait()
        with self._state:
            self._current = None
        return not sender.missing and not spool.outstanding
