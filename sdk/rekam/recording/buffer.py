"""Where log calls append, and the thread that empties it into the spool."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING

from rekam.errors import SpoolError, SpoolFull
from rekam.spool.records import Kind, Record
from rekam.spool.spool import Definition, Spool

if TYPE_CHECKING:
    from rekam.recording.writer import Columns, Texts

log = logging.getLogger("rekam")

# Rows taken at a time, so that the interpreter lock is never held long.
_TAKE = 2_000
_RETRY_DISK_SECONDS = 1.0

_owner_of = itemgetter(0)
_bytes_of = itemgetter(1)


class Buffer:
    """Rows that are not in the spool yet. Any thread appends; `drain` runs in one at a time.

    `held` counts the bytes of rows; it bounds them, so a lost update between threads does no
    harm, and it is set right whenever the buffer is found empty.
    """

    def __init__(self, spool: Spool, *, limit: int, flush_interval: float, raise_when_full: bool) -> None:
        # With what they belong to; for control records: whether they wait for their run.
        self.rows: list[tuple[Columns | Texts | bool, bytes]] = []
        self.held = 0
        # From here on the thread is woken before its time.
        self.crowded_at = min(limit // 4, 1024 * 1024)
        self._limit = limit
        self._spool = spool
        self._interval = flush_interval
        self._raise_when_full = raise_when_full
        self._draining = threading.Lock()
        self._wake = threading.Event()
        self._room = threading.Condition()
        self._unwritten: list[tuple[Record, tuple[Definition, ...], int]] = []
        # Whether the spool took nothing, for want of room or because the disk refused.
        self._stuck = False
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="rekam-spool", daemon=True)
        self._thread.start()

    def append_texts(self, texts: Texts, bodies: Sequence[bytes]) -> bool:
        """Text, which never waits for room; False when there is little left, which is for points."""
        if self.held > self._limit // 2:
            return False
        self.rows += [(texts, body) for body in bodies]
        self.held += sum(map(len, bodies))
        return True

    def append_control(self, body: bytes, waits: bool) -> None:
        """A control record; it keeps its place among the rows."""
        self.rows.append((waits, body))
        self.held += len(body)
        if self.held >= self.crowded_at:
            self.crowded()

    def crowded(self) -> None:
        """Called by a log call that found many bytes held: wake the thread, wait for room."""
        if not self._wake.is_set():
            self._wake.set()
        if self.held < self._limit:
            return
        with self._room:
            self._room.wait_for(lambda: self.held < self._limit or self._closed or self._raises())
        if self.held >= self._limit and self._raises():
            raise SpoolFull(
                f"{self.held} bytes wait in memory because the spool {self._spool.directory} takes no more; "
                "what was logged is kept, and logging goes on when the server has taken some",
                field="REKAM_ON_FULL",
            )

    def _raises(self) -> bool:
        """Whether a log call that finds the buffer full is to raise: not while the spool takes some."""
        return self._raise_when_full and self._stuck

    def drain(self, deadline: float | None = None) -> bool:
        """Write everything that was appended before this call to the spool.

        False when that did not succeed until `deadline` (of time.monotonic()). Raises SpoolError
        when the disk refuses; nothing is lost then, the next drain tries again.
        """
        timeout = -1 if deadline is None else max(0.0, deadline - time.monotonic())
        if not self._draining.acquire(timeout=timeout):
            return False
        try:
            left = len(self.rows)
            while True:
                if not self._write(deadline):
                    return False
                if left <= 0:
                    return True
                left -= self._take(min(left, _TAKE))
        finally:
            self._draining.release()

    def close(self) -> None:
        """Stop the thread; what cannot be written any more stays in memory."""
        self._closed = True
        self._wake.set()
        with self._room:
            self._room.notify_all()
        self._thread.join(timeout=5.0)

    def _take(self, count: int) -> int:
        """Turn up to `count` rows into records that are to be written; returns how many."""
        rows = self.rows[:count]
        del self.rows[:count]
        groups: dict[Columns | Texts, list[bytes]] = {}
        for owner, group in groupby(rows, _owner_of):
            if not isinstance(owner, bool):
                groups.setdefault(owner, []).extend(map(_bytes_of, group))
                continue
            self._number(groups)
            groups = {}
            self._unwritten += [(Record(Kind.CONTROL, body, waits=owner), (), len(body)) for _, body in group]
        self._number(groups)
        return len(rows)

    def _number(self, groups: dict[Columns | Texts, list[bytes]]) -> None:
        for owner, rows in groups.items():
            held = sum(map(len, rows))
            for record in owner.records(rows):
                self._unwritten.append((record, owner.definitions, held))
                held = 0

    def _write(self, deadline: float | None) -> bool:
        done = 0
        freed = 0
        try:
            for record, definitions, held in self._unwritten:
                if not self._spool.append(record, definitions, deadline):
                    return False
                done += 1
                freed += held
        finally:
            del self._unwritten[:done]
            self.held -= freed
            if not self.rows and not self._unwritten:
                self.held = 0
            if freed:
                with self._room:
                    self._room.notify_all()
        return True

    def _run(self) -> None:
        told = False
        while not self._closed:
            self._wake.wait(self._interval)
            self._wake.clear()
            try:
                if self.rows or self._unwritten:
                    # Comes back now and then, so that a full spool does not keep others out for ever.
                    drained = self.drain(time.monotonic() + 1.0)
                    self._set_stuck(not drained and self._spool.full)
                self._spool.sync_if_due()
                told = False
            except (SpoolError, OSError) as error:
                if not told:
                    log.error("%s; trying again, what is logged waits in memory", error)
                told = True
                self._set_stuck(True)
                time.sleep(_RETRY_DISK_SECONDS)

    def _set_stuck(self, stuck: bool) -> None:
        if stuck != self._stuck:
            with self._room:
                self._stuck = stuck
                self._room.notify_all()
