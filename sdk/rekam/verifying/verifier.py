"""Writes, reads back by every door, and says what it found."""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import rekam
from rekam.client import Client
from rekam.errors import NotFound, RekamError, Unavailable
from rekam.verifying.difference import Difference
from rekam.verifying.doors import DOORS, Door
from rekam.verifying.report import Report
from rekam.verifying.writing import Writer
from rekam.verifying.written import Written

_PAUSE = 0.2
_RETRY_SECONDS = 1.0
_AWAY_PAUSE = 0.5
_LATE_PAUSE = 0.2
# Runs that are not read back by every door yet, for each that is written at a time.
_UNCHECKED = 2


@dataclass(frozen=True, slots=True)
class Options:
    """rate: rows per second, over all runs; a row has `keys` points.

    runs: written at the same time. steps: rows of one run. keep: ended runs that stay; older ones are
    deleted. late: seconds that a read has to show what was acknowledged before it is missing.
    patience: seconds that the end waits for the server.
    """

    tracking_uri: str
    experiment: str = "rekam verify"
    rate: float = 100.0
    runs: int = 2
    keys: int = 10
    steps: int = 1000
    keep: int = 10
    late: float = 30.0
    patience: float = 60.0


class Verifier:
    """`run` until told to stop; `report` may be looked at meanwhile."""

    def __init__(self, options: Options, doors: Mapping[str, Door] = DOORS) -> None:
        self.report = Report()
        self._options = options
        # Not tried again for long: an outage is to be seen, not waited for.
        self._client = Client(options.tracking_uri, retry_timeout=_RETRY_SECONDS)
        self._experiment_id = ""
        self._changed = threading.Condition()
        self._ending = threading.Event()
        self._live: list[Written] = []
        # Runs that are done, the oldest first.
        self._ended: deque[Written] = deque()
        self._doors = doors
        self._next_door = itertools.cycle(doors)

    def run(self, stop: threading.Event) -> Report:
        """Write and check until `stop` is set, then check all runs that are kept, by every door.

        Raises Unavailable when the server is not there at the start. When it is not there at the
        end, for as long as `patience`, what is left is not checked and the report says `unavailable`.
        """
        options = self._options
        rekam.set_tracking_uri(options.tracking_uri)
        self._experiment_id = self._client.ensure_experiment(options.experiment).experiment_id
        writers = [
            Writer(
                self.report,
                self._ending,
                self._started,
                experiment_id=self._experiment_id,
                keys=options.keys,
                steps=options.steps,
                pause=options.runs / options.rate,
                patience=options.patience,
            )
            for _ in range(options.runs)
        ]
        while not stop.wait(_PAUSE):
            self._round()
        self._ending.set()
        while any(writer.alive for writer in writers):
            self._round()
            time.sleep(_PAUSE)
        self._check_all()
        return self.report

    def _started(self, written: Written) -> None:
        """Take a run in. Who writes faster than all can be read waits here."""
        most = _UNCHECKED * self._options.runs
        with self._changed:
            while len(self._live) >= most and not self._ending.is_set():
                self._changed.wait(_PAUSE)
            self._live.append(written)

    def _round(self) -> None:
        """One door for each live run, every door for those that ended, one door for an older one."""
        with self._changed:
            live = list(self._live)
        for run in live:
            if run.done:
                if not all(self._check(door, run) for door in self._doors):
                    return  # the server is away; all of it is done again
                with self._changed:
                    self._live.remove(run)
                    self._changed.notify_all()
                self._ended.append(run)
            elif run.acknowledged:
                self._check(next(self._next_door), run)
        if self._ended:
            self._check(next(self._next_door), random.choice(self._ended))
        while len(self._ended) > self._options.keep:
            if not self._delete(self._ended[0]):
                return
            self._ended.popleft()

    def _check_all(self) -> None:
        give_up = time.monotonic() + self._options.patience
        with self._changed:
            left = [*self._ended, *self._live]
        for run, door in itertools.product(left, self._doors):
            while not self._check(door, run):
                if time.monotonic() > give_up:
                    return
                time.sleep(_AWAY_PAUSE)

    def _check(self, door: str, run: Written) -> bool:
        """Read by one door; False when the server did not answer."""
        if run.faulty:
            return True
        late = 0
        began = time.monotonic()
        while True:
            found = self._asked(door, lambda: self._doors[door](self._client, self._experiment_id, run))
            if found is None:
                return False
            if not found.missing or time.monotonic() - began > self._options.late:
                break
            late += 1
            time.sleep(_LATE_PAUSE)
        if not found:
            self.report.add_fresh(time.monotonic() - began)
        run.faulty = bool(found)
        self.report.add_read(door, found, run.run_id, late=late)
        return True

    def _asked(self, doing: str, ask: Callable[[], Difference]) -> Difference | None:
        """What a question found; None when the server did not answer."""
        try:
            found = ask()
        except Unavailable:
            self.report.away()
            return None
        except NotFound as error:
            found = Difference()
            found.miss(1, str(error))
        except RekamError as error:
            self.report.add_error(doing, error)
            found = Difference()
            found.mistake(f"{type(error).__name__}: {error}")
        self.report.back()
        return found

    def _delete(self, run: Written) -> bool:
        """Delete an old run and see that it is gone; False when the server did not answer."""

        def delete() -> Difference:
            self._client.delete_run(run.run_id)
            found = Difference(read=1)
            by_param = f"params.`verify.seed` = '{run.plan.seed}'"
            if self._client.search_runs([self._experiment_id], by_param, max_results=1):
                found.mistake("a deleted run is found")
            return found

        found = self._asked("delete", delete)
        if found is not None:
            self.report.add_read("delete", found, run.run_id)
        return found is not None
