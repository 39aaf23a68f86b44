"""The thread that writes verification runs, one after the other."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable

import rekam
from rekam.errors import RefusedRecords, RekamError
from rekam.run import ActiveRun
from rekam.verifying.difference import Difference
from rekam.verifying.plan import LINE_EVERY, STEP_TAG, STREAM, Plan
from rekam.verifying.report import Report
from rekam.verifying.written import Written

# A flush that takes longer is an error that the client handles: by trying again.
_FLUSH_SECONDS = 60.0
_FLUSH_EVERY = 1.0


class Writer:
    """Writes until `stop` and ends its run; gives up what is not acknowledged `patience` seconds later.

    started(written): called for each run. pause: seconds between two rows.
    """

    def __init__(
        self,
        report: Report,
        stop: threading.Event,
        started: Callable[[Written], None],
        *,
        experiment_id: str,
        keys: int,
        steps: int,
        pause: float,
        patience: float,
    ) -> None:
        self._report = report
        self._stop = stop
        self._started = started
        self._experiment_id = experiment_id
        self._keys = tuple(f"verify/{number}" for number in range(keys))
        self._steps = steps
        self._pause = pause
        self._patience = patience
        self._thread = threading.Thread(target=self._run, name="rekam-verify", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether it still writes or waits for acknowledgements."""
        return self._thread.is_alive()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                run = rekam.start_run(
                    experiment_id=self._experiment_id,
                    run_name="verify",
                    log_system_metrics=False,
                    capture_console=False,
                )
            except RekamError as error:
                self._report.add_error("start_run", error)
                self._stop.wait(1.0)
                continue
            plan = Plan(secrets.randbits(63), self._keys, time.time_ns() // 1000)
            written = Written(run.run_id, plan, run.writer)
            self._report.add_run()
            self._started(written)
            try:
                self._write(run, written)
            except RekamError as error:
                self._report.add_error("log", error)
            self._end(run, written)

    def _write(self, run: ActiveRun, written: Written) -> None:
        plan = written.plan
        run.log_params(plan.params)
        flushed_at = due = time.monotonic()
        for step in range(self._steps):
            if self._stop.is_set():
                break
            written.written = step + 1
            run.log_metrics(plan.row(step), step=step, time_us=plan.time_us(step))
            if step % LINE_EVERY == 0:
                self._log_line(run, plan, step)
            self._report.add_written(len(plan.keys))
            if time.monotonic() - flushed_at >= _FLUSH_EVERY:
                self._acknowledge(run, written)
                flushed_at = time.monotonic()
            due = max(due + self._pause, time.monotonic() - 1.0)
            self._stop.wait(max(0.0, due - time.monotonic()))
        self._acknowledge(run, written)

    def _log_line(self, run: ActiveRun, plan: Plan, step: int) -> None:
        line = plan.line(step // LINE_EVERY)
        # Text gives way to points when the server has been away for long.
        while not run.log_lines(STREAM, [plan.time_us(step)], [line]):
            time.sleep(0.1)

    def _end(self, run: ActiveRun, written: Written) -> None:
        try:
            rekam.end_run()
        except RekamError as error:
            self._refused("end_run", run, error)
        written.ended = self._flush(run)
        written.done = True

    def _acknowledge(self, run: ActiveRun, written: Written) -> None:
        """Flush what was written, and count it when it is acknowledged."""
        steps = written.written
        run.set_tags({STEP_TAG: steps})
        began = time.monotonic()
        if not self._flush(run):
            return
        points = (steps - written.acknowledged) * len(written.plan.keys)
        written.acknowledged = steps
        self._report.add_acknowledged(points, time.monotonic() - began)

    def _flush(self, run: ActiveRun) -> bool:
        """Until it is acknowledged, or given up; whether it is."""
        stopped_at = None
        while True:
            left = _FLUSH_SECONDS
            if self._stop.is_set():
                stopped_at = stopped_at or time.monotonic()
                left = stopped_at + self._patience - time.monotonic()
            try:
                run.flush(max(0.0, left))
                return True
            except RefusedRecords as error:
                self._refused("flush", run, error)
            except RekamError as error:
                self._report.add_error("flush", error)
                if self._stop.is_set() and left <= self._patience:
                    return False

    def _refused(self, doing: str, run: ActiveRun, error: RekamError) -> None:
        """The server refused what breaks no rule."""
        self._report.add_error(doing, error)
        found = Difference()
        found.mistake(str(error))
        self._report.add_read("write", found, run.run_id)
