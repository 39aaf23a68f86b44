"""A client of MLflow's REST API, and a tracker that speaks it on a Postgres."""

from __future__ import annotations

import http.client
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import psutil
from numpy.typing import NDArray

from bench.peers.filling import Filling
from bench.peers.trackers import Batch

API = "/api/2.0/mlflow/"
TIMEOUT_S = 120
PAGE = 25_000
NOW_MS = 1_700_000_000_000


class _Value(msgspec.Struct):
    value: float
    step: int | str  # FastTrackML writes 64 bits as text


class _Page(msgspec.Struct):
    metrics: list[_Value] = []


class _Token(msgspec.Struct):
    next_page_token: str = ""


class RestClient:
    """One connection that stays open, as MLflow's own client keeps one.

    What it sends is made before it is sent, what it gets is read after all of it was got, so that
    a server is measured and not its client.
    """

    def __init__(self, host: str, port: int, experiment_id: str) -> None:
        self._connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
        self._experiment_id = experiment_id

    def close(self) -> None:
        self._connection.close()

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        data = None if body is None else msgspec.json.encode(body)
        answer: dict[str, Any] = msgspec.json.decode(self.send(method, path, data))
        return answer

    def send(self, method: str, path: str, data: bytes | None = None) -> bytes:
        """The answer's body."""
        try:
            response = self._exchange(method, path, data)
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
            # Servers close connections that were idle for some seconds.
            self._connection.close()
            response = self._exchange(method, path, data)
        content = response.read()
        if response.status != 200:
            raise RuntimeError(f"{method} {path}: {response.status} {content[:500]!r}")
        return content

    def _exchange(self, method: str, path: str, data: bytes | None) -> http.client.HTTPResponse:
        self._connection.request(method, API + path, data, {"Content-Type": "application/json"})
        return self._connection.getresponse()

    def create_run(self) -> str:
        request = {"experiment_id": self._experiment_id, "start_time": NOW_MS}
        run_id: str = self.call("POST", "runs/create", request)["run"]["info"]["run_id"]
        return run_id

    def log_metric(self, run_id: str, key: str, value: float, step: int) -> None:
        request = {"run_id": run_id, "key": key, "value": value, "timestamp": NOW_MS + step, "step": step}
        self.call("POST", "runs/log-metric", request)

    def batch(self, run_id: str, batch: Batch) -> bytes:
        metrics = [
            {"key": key, "value": value, "timestamp": NOW_MS + step, "step": step}
            for key, column in zip(batch.keys, batch.values.tolist(), strict=True)
            for step, value in zip(batch.steps.tolist(), column, strict=True)
        ]
        return msgspec.json.encode({"run_id": run_id, "metrics": metrics})

    def log_batch(self, batch: bytes) -> None:
        self.send("POST", "runs/log-batch", batch)

    def end_run(self, run_id: str) -> None:
        self.call("POST", "runs/update", {"run_id": run_id, "status": "FINISHED", "end_time": NOW_MS + 1})

    def history(self, run_id: str, key: str) -> list[bytes]:
        pages: list[bytes] = []
        token = ""
        while True:
            path = f"metrics/get-history?run_id={run_id}&metric_key={key}&max_results={PAGE}"
            pages.append(self.send("GET", path + (f"&page_token={token}" if token else "")))
            token = msgspec.json.decode(pages[-1], type=_Token).next_page_token
            if not token:
                return pages

    def values(self, history: list[bytes]) -> NDArray[np.float64]:
        found = [one for page in history for one in msgspec.json.decode(page, type=_Page).metrics]
        return np.array([one.value for one in sorted(found, key=lambda one: int(one.step))])

    def search(self, filled: str, metric: str, limit: int) -> int:
        request = {
            "experiment_ids": [filled],
            "filter": f"metrics.{metric} > 0.5",
            "order_by": [f"metrics.{metric} DESC"],
            "max_results": limit,
        }
        return len(self.call("POST", "runs/search", request)["runs"])


def new_experiment(host: str, port: int) -> str:
    """An experiment's id."""
    client = RestClient(host, port, "")
    try:
        experiment_id: str = client.call("POST", "experiments/create", {"name": uuid.uuid4().hex})[
            "experiment_id"
        ]
        return experiment_id
    finally:
        client.close()


@dataclass
class RestTracker:
    """A server of that API; `pid` is its first process."""

    name: str
    host: str
    port: int
    pid: int
    postgres_pid: int
    filling: Filling
    experiment_id: str = ""

    def create_experiment(self) -> str:
        return new_experiment(self.host, self.port)

    @contextmanager
    def connect(self) -> Iterator[RestClient]:
        client = RestClient(self.host, self.port, self.experiment_id)
        try:
            yield client
        finally:
            client.close()

    def fill_history(self, points: int) -> tuple[str, str]:
        with self.connect() as client:
            run_id = client.create_run()
            client.log_metric(run_id, "loss", 0.0, 0)
        self.filling.copy_metric(run_id, "loss", points)
        return run_id, "loss"

    def fill_runs(self, runs: int, metric: str) -> str:
        filled = self.create_experiment()
        with self.connect() as client:
            answer = client.call("POST", "runs/create", {"experiment_id": filled, "start_time": NOW_MS})
            run_id = answer["run"]["info"]["run_id"]
            client.call(
                "POST",
                "runs/log-batch",
                {
                    "run_id": run_id,
                    "params": [{"key": f"p{k}", "value": str(k)} for k in range(10)],
                    "tags": [{"key": f"t{k}", "value": f"text {k}"} for k in range(3)],
                    "metrics": [
                        {"key": f"m{k}", "value": 0.5, "timestamp": NOW_MS, "step": 1_000} for k in range(10)
                    ],
                },
            )
            client.call(
                "POST", "runs/update", {"run_id": run_id, "status": "FINISHED", "end_time": NOW_MS + 1}
            )
        self.filling.copy_run(run_id, runs - 1)
        return filled

    def resident_mib(self) -> dict[str, float]:
        """Of the server's processes, and of Postgres' with shared pages counted once."""
        return {"server": _resident(self.pid), "postgres": _resident(self.postgres_pid, shared_once=True)}


def _resident(pid: int, shared_once: bool = False) -> float:
    process = psutil.Process(pid)
    total = process.memory_info().rss
    for child in process.children(recursive=True):
        memory = child.memory_info()
        total += memory.rss - (memory.shared if shared_once else 0)
    return total / 2**20
