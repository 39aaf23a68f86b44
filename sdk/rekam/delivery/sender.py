"""The thread that keeps a spool's records flowing to the server, for ever."""

from __future__ import annotations

import logging
import random
import threading
from typing import Any

from rekam.delivery.connection import Connection
from rekam.delivery.refusals import Refusals
from rekam.spool.spool import Spool

log = logging.getLogger("rekam")

_FIRST_WAIT = 0.1
_LONGEST_WAIT = 5.0


class Sender:
    """Connects when there is something to send; connects again when a stream breaks.

    reachable: None until the first attempt ended, then whether the last one got an answer.
    until_empty: it ends when everything is acknowledged, or when a run is not there yet that
    records wait for (`missing`: what the server says); `ended` is set then.
    """

    def __init__(
        self,
        target: str,
        spool: Spool,
        refusals: Refusals,
        *,
        until_empty: bool = False,
    ) -> None:
        self.reachable: bool | None = None
        self.missing = ""
        self.ended = threading.Event()
        self._target = target
        self._spool = spool
        self._refusals = refusals
        self._until_empty = until_empty
        self._connection: Connection | None = None
        self._state = threading.Condition()
        self._closed = False
        self._hurry = False
        self._told = ""
        self._thread = threading.Thread(target=self._run, name="rekam-send", daemon=True)
        self._thread.start()

    def try_now(self) -> None:
        """End the wait for the next attempt to connect; `reachable` is None until it ended."""
        with self._state:
            if self.reachable is False:
                self.reachable = None
                self._hurry = self._connection is not None
                self._state.notify_all()

    def close(self, timeout: float = 5.0) -> None:
        """Stop; what is not acknowledged stays in the spool."""
        with self._state:
            self._closed = True
            self._state.notify_all()
            if self._connection is not None:
                self._connection.close()
        with self._spool.changed:
            self._spool.changed.notify_all()
        self._thread.join(timeout)

    def _run(self) -> None:
        try:
            self._deliver()
        finally:
            self.ended.set()

    def _deliver(self) -> None:
        wait = _FIRST_WAIT
        while self._ready():
            before = self._spool.acknowledged
            answered = self._stream()
            if self._until_empty and (self.missing or not self._spool.outstanding):
                return
            if answered and (not self.missing or self._spool.acknowledged > before):
                wait = _FIRST_WAIT
            with self._state:
                if not (self._closed or self._hurry):
                    self._state.wait(wait * random.uniform(0.5, 1.0))
                self._hurry = False
            wait = min(wait * 2, _LONGEST_WAIT)

    def _ready(self) -> bool:
        """Wait until there is something to send; False when closed."""
        with self._spool.changed:
            self._spool.changed.wait_for(lambda: self._closed or self._until_empty or self._spool.outstanding)
        return not self._closed

    def _stream(self) -> bool:
        """One connection, as long as it lasts; whether the server answered on it."""
        import grpc

        connection = Connection(
            self._target, self._spool, self._refusals.add, heard=self._heard, until_empty=self._until_empty
        )
        with self._state:
            if self._closed:
                return False
            self._connection = connection
        try:
            connection.run()
        except grpc.RpcError as error:
            self._lost(error)
        else:
            self._tell_missing(connection.missing)
        finally:
            with self._state:
                self._connection = None
        return connection.answered

    def _tell_missing(self, missing: str) -> None:
        """Of a run that was resumed without the server's word, and is not there yet."""
        if missing and missing != self.missing:
            log.warning(
                "%s: %s, yet; what is logged into it waits in the spool %s until whoever creates it is heard",
                self._target,
                missing,
                self._spool.directory,
            )
        self.missing = missing
        with self._spool.changed:
            self._spool.changed.notify_all()

    def _heard(self) -> None:
        if self.reachable is not True:
            if self.reachable is False:
                log.warning("connected to %s: delivering what is in the spool", self._target)
            self.reachable = True
            self._told = ""

    def _lost(self, error: Any) -> None:
        # An idle stream that ends says nothing about the next attempt.
        self.reachable = False if self._spool.outstanding else None
        with self._spool.changed:
            self._spool.changed.notify_all()
        if self.reachable is None:
            return
        reason = f"{error.code().name}: {error.details()}"
        if error.code().name != self._told:
            self._told = error.code().name
            log.warning(
                "no connection to %s (%s); what is logged goes into the spool %s until it is back",
                self._target,
                reason,
                self._spool.directory,
            )
