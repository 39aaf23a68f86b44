"""The work: the same for every tracker, every result read back and compared."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from statistics import median

import click
import numpy as np

from bench.peers.rekam import RekamTracker
from bench.peers.trackers import Batch, Client, Tracker

LOGGED = 300  # log_metric calls, one after the other
CLIENTS = 4
BATCHES = 75  # of 1,000 points, by each client
KEYS, ROWS = 10, 100
CREATED = 100  # runs, by each client
HISTORY, LONG_HISTORY = 100_000, 1_000_000
RUNS = 10_000
PAGE = 100
REPEATS = 5

Figures = dict[str, float]


def batch_of(number: int) -> Batch:
    """A thousand points: 100 steps of 10 keys, which the next batch goes on from."""
    steps = np.arange(number * ROWS, (number + 1) * ROWS)
    values = np.sin(np.arange(KEYS)[:, None] + steps / 100)
    return Batch(tuple(f"k{key}" for key in range(KEYS)), steps, values)


def log_metric(tracker: Tracker) -> Figures:
    """One client, one point at a time, each acknowledged before the next."""
    with tracker.connect() as client:
        run_id = client.create_run()
        spent = []
        for step in range(LOGGED):
            began = time.perf_counter()
            client.log_metric(run_id, "loss", step / 2, step)
            spent.append(time.perf_counter() - began)
        _expect(tracker, client.values(client.history(run_id, "loss")), np.arange(LOGGED) / 2)
    return {
        "log_metric_p50_ms": float(np.percentile(spent, 50)) * 1000,
        "log_metric_p99_ms": float(np.percentile(spent, 99)) * 1000,
    }


def log_batch(tracker: Tracker) -> Figures:
    """Four clients, each with a run, 1,000 points a request, each acknowledged before the next."""
    batches = [batch_of(number) for number in range(BATCHES)]
    run_ids: list[str] = []

    def start(client: Client) -> Callable[[], None]:
        run_id = client.create_run()
        run_ids.append(run_id)
        requests = [client.batch(run_id, batch) for batch in batches]

        def log() -> None:
            for request in requests:
                client.log_batch(request)

        return log

    seconds = _together(tracker, start)
    _expect_batches(tracker, run_ids)
    points = sum(batch.points for batch in batches) * CLIENTS
    return {"log_batch_points_per_s": points / seconds}


def sdk(tracker: Tracker) -> Figures:
    """The same points by four processes with Rekam's SDK, which sends without waiting; until flushed."""
    if not isinstance(tracker, RekamTracker):
        return {}
    command = [sys.executable, "-m", "bench.peers.sdk_client", f"grpc://{tracker.stack.target}", str(BATCHES)]
    with tempfile.TemporaryDirectory(prefix="rekam-bench-spool-") as spool:
        processes = [
            subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=os.environ | {"REKAM_SPOOL_DIR": spool},
            )
            for _ in range(CLIENTS)
        ]
        pipes = [(one.stdin, one.stdout) for one in processes if one.stdin and one.stdout]
        for _, output in pipes:
            if output.readline().strip() != "ready":
                raise RuntimeError("a process with the SDK did not start")
        began = time.perf_counter()
        for given, _ in pipes:
            given.write("go\n")
            given.flush()
        run_ids = [output.readline().strip() for _, output in pipes]
        seconds = time.perf_counter() - began
        for one in processes:
            one.communicate()
    _expect_batches(tracker, run_ids)
    return {"sdk_points_per_s": BATCHES * KEYS * ROWS * CLIENTS / seconds}


def fill_runs(tracker: Tracker) -> Figures:
    """Four clients that create runs, log ten values into each, and end it."""
    created: list[str] = []
    batch = Batch(tuple(f"k{key}" for key in range(KEYS)), np.zeros(1, np.int64), np.ones((KEYS, 1)))

    def fill(client: Client) -> str:
        run_id = client.create_run()
        client.log_batch(client.batch(run_id, batch))
        client.end_run(run_id)
        return run_id

    def start(client: Client) -> Callable[[], None]:
        return lambda: created.extend(fill(client) for _ in range(CREATED))

    seconds = _together(tracker, start)
    if len(set(created)) != CLIENTS * CREATED:
        raise RuntimeError(f"{tracker.name} created {len(set(created))} runs of {CLIENTS * CREATED}")
    with tracker.connect() as client:
        for run_id in created[::CREATED]:
            _expect(tracker, client.values(client.history(run_id, "k0")), [1.0])
    return {"filled_runs_per_s": len(created) / seconds}


def history(tracker: Tracker, points: int = HISTORY) -> Figures:
    """All points of one metric, by one client, until all have come."""
    run_id, key = tracker.fill_history(points)
    with tracker.connect() as client:
        began = time.perf_counter()
        found = client.history(run_id, key)
        seconds = time.perf_counter() - began
        values = client.values(found)
    if len(values) != points:
        raise RuntimeError(f"{tracker.name} has {len(values)} points of {points}")
    return {f"history_{points // 1000}k_s": seconds}


def long_history(tracker: Tracker) -> Figures:
    """As history; takes MLflow minutes."""
    return history(tracker, LONG_HISTORY)


def search(tracker: Tracker) -> Figures:
    """The first 100 of 10,000 runs with a metric above a value, greatest first; median."""
    filled = tracker.fill_runs(RUNS, "m0")
    seconds = []
    with tracker.connect() as client:
        for _ in range(REPEATS):
            began = time.perf_counter()
            found = client.search(filled, "m0", PAGE)
            seconds.append(time.perf_counter() - began)
            if found != PAGE:
                raise RuntimeError(f"{tracker.name} found {found} runs of {PAGE}")
    return {"search_10k_runs_ms": median(seconds) * 1000}


def memory(tracker: Tracker) -> Figures:
    """Resident, after all of that."""
    return {f"resident_{part}_mib": mib for part, mib in tracker.resident_mib().items()}


STEPS: dict[str, Callable[[Tracker], Figures]] = {
    "log_metric": log_metric,
    "log_batch": log_batch,
    "sdk": sdk,
    "fill_runs": fill_runs,
    "history": history,
    "search": search,
    "memory": memory,
    "long_history": long_history,
}
# What is done only when it is asked for.
ON_REQUEST = ("long_history",)


def _together(tracker: Tracker, start: Callable[[Client], Callable[[], None]]) -> float:
    """Seconds that all clients take, from when each is ready; raises what one of them raised."""
    line = threading.Barrier(CLIENTS + 1)
    failures: list[BaseException] = []

    def one() -> None:
        try:
            with tracker.connect() as client:
                work = start(client)
                line.wait()
                work()
        except BaseException as failure:  # noqa: BLE001  # raised again where it is waited for
            failures.append(failure)
            line.abort()

    threads = [threading.Thread(target=one) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        line.wait()
    except threading.BrokenBarrierError:
        click.echo(f"{tracker.name}: a client could not start", err=True)
    began = time.perf_counter()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - began
    if failures:
        raise failures[0]
    return seconds


def _expect_batches(tracker: Tracker, run_ids: list[str]) -> None:
    batches = [batch_of(number) for number in range(BATCHES)]
    with tracker.connect() as client:
        for run_id in run_ids:
            for place, key in enumerate(batches[0].keys):
                sent = np.concatenate([batch.values[place] for batch in batches])
                _expect(tracker, client.values(client.history(run_id, key)), sent)


def _expect(tracker: Tracker, found: np.ndarray[tuple[int], np.dtype[np.float64]], sent: object) -> None:
    if not np.array_equal(found, np.asarray(sent)):
        raise RuntimeError(f"{tracker.name} has other points than were sent: {found[:5]} for {sent}")
