"""Threads that log over MLflow's REST API and send again what is not answered, as its clients do.

Values follow from the thread and the step, so that what must be there needs no second record.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from tests.support.mlflow_rest import Rest
from tests.support.stack import until

KEYS = ("loss", "accuracy")
ROWS = 20  # of a batch; one request in two is a single value
PATIENCE_S = 180.0
# What MLflow's clients send again.
AGAIN = {408, 429, 500, 502, 503, 504}


class Logger:
    """One thread, one run; several may share a run."""

    def __init__(self, http: str, run_id: str, number: int) -> None:
        self.run_id = run_id
        self.number = number
        self.steps = 0  # acknowledged
        self.repeated = 0
        self.failure: BaseException | None = None
        self._rest = Rest(http)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def values(self, key: str, steps: int) -> set[tuple[int, int, float]]:
        """What it logs in so many steps: timestamps, steps, values."""
        return {
            (1_000 * self.number + step, step, self.number + step / 2 + KEYS.index(key))
            for step in range(steps)
        }

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(PATIENCE_S + 30)
        self._rest.close()
        if self.failure is not None:
            raise self.failure

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                self._batch() if self.steps % 2 else self._single()
        except BaseException as failure:  # noqa: BLE001  # raised again where it is waited for
            self.failure = failure

    def _metric(self, key: str, step: int) -> dict[str, Any]:
        value = self.number + step / 2 + KEYS.index(key)
        return {"key": key, "value": value, "timestamp": 1_000 * self.number + step, "step": step}

    def _single(self) -> None:
        for key in KEYS:
            self._send("runs/log-metric", self._metric(key, self.steps))
        self.steps += 1

    def _batch(self) -> None:
        steps = range(self.steps, self.steps + ROWS)
        metrics = [self._metric(key, step) for step in steps for key in KEYS]
        params = [{"key": f"logger{self.number}", "value": "here"}]
        tags = [{"key": f"logger{self.number}", "value": str(steps.stop)}]
        self._send("runs/log-batch", {"metrics": metrics, "params": params, "tags": tags})
        self.steps += ROWS

    def _send(self, path: str, fields: dict[str, Any]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                answer = self._rest.post(f"/api/2.0/mlflow/{path}", json={"run_id": self.run_id, **fields})
                if answer.status_code == 200:
                    return
                assert answer.status_code in AGAIN, answer.text
                said = answer.text
            except httpx.TransportError as error:
                said = repr(error)
            assert time.monotonic() < deadline, f"not within {PATIENCE_S:g} s: {said}"
            self.repeated += 1
            self._stop.wait(0.05)


class RestFleet:
    """Loggers of one stack: one with a run of its own, and some that share another."""

    def __init__(self, http: str, sharing: int) -> None:
        self._http = http
        with Rest(http) as rest:
            runs = [
                rest.tell("runs/create", experiment_id="0")["run"]["info"]["run_id"]
                for _ in ("own", "shared")
            ]
        self.loggers = [Logger(http, runs[min(number, 1)], number) for number in range(1 + sharing)]

    def caught_up(self) -> None:
        """Wait until everything that is under way now is acknowledged, and more, to all."""
        before = [logger.steps for logger in self.loggers]

        def all_beyond() -> bool:
            for logger in self.loggers:
                if logger.failure is not None:
                    raise logger.failure
            pairs = zip(self.loggers, before, strict=True)
            return all(logger.steps > steps + 2 * ROWS for logger, steps in pairs)

        until("all loggers are acknowledged again", all_beyond, PATIENCE_S)

    def check(self) -> int:
        """Every value that was acknowledged is there, once, and nothing else; their number."""
        points = 0
        with Rest(self._http) as rest:
            for run_id in {logger.run_id for logger in self.loggers}:
                sharing = [logger for logger in self.loggers if logger.run_id == run_id]
                for key in KEYS:
                    metrics = rest.ask("metrics/get-history", run_id=run_id, metric_key=key)["metrics"]
                    found = [(each["timestamp"], each["step"], each["value"]) for each in metrics]
                    sent = set().union(*(logger.values(key, logger.steps) for logger in sharing))
                    assert len(found) == len(set(found)), f"{len(found) - len(set(found))} are doubled"
                    assert set(found) == sent
                    points += len(found)
                params = rest.ask("runs/get", run_id=run_id)["run"]["data"]["params"]
                assert {each["key"] for each in params} == {f"logger{logger.number}" for logger in sharing}
        return points


@contextmanager
def rest_fleet(http: str, *, sharing: int = 2) -> Iterator[RestFleet]:
    """Loggers at work while the block runs; each ends with what it is about to send."""
    fleet = RestFleet(http, sharing)
    try:
        yield fleet
    finally:
        for logger in fleet.loggers:
            logger.stop()
