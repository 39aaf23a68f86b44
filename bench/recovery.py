"""How long a stack takes to be whole again after `kill -9` of one of its processes.

A program logs all the time, some hundred rows a second. From the kill on, the clock runs until a point
that was logged after it is acknowledged and seen by a strong read: whatever had been held up lies
before it, in the log and in the projection.
"""

from __future__ import annotations

import asyncio
import os
import signal
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import nats

import rekam
from bench.report import Figures
from bench.stack import Stack, running_stack
from rekam_runtime.eventlog.shards import points_stream

KILLED = ("gateway", "tracking-serve", "tracking-project", "nats", "postgres", "seaweed")
ROUNDS = 1
ROWS_EVERY_S = 0.004
KEYS = [f"layer{number}/loss" for number in range(20)]
# A process that lived for less is started again later than one that fell once.
SETTLED_S = 6.0
GIVEN_UP_S = 60.0


def recovery_s(uri: str, kill: signal.Signals, pid: int) -> float:
    """Seconds until all that is logged is acknowledged and read again."""
    client = rekam.Client(uri)
    run_id = client.create_run("0").info.run_id
    client.log_metric(run_id, "marker", 0.0, step=0)
    client.flush()
    os.kill(pid, kill)
    began = time.perf_counter()
    client.log_metric(run_id, "marker", 1.0, step=1)
    client.flush(timeout=GIVEN_UP_S)
    while True:
        try:
            if len(client.get_history(run_id, "marker")) == 2:
                return time.perf_counter() - began
        except rekam.errors.Unavailable:
            time.sleep(0.01)  # a stream is not tried again by the client


def measure_recovery(stack: Stack, figures: Figures) -> None:
    """One process after the other, the median of some rounds."""
    uri = f"grpc://{stack.target}"
    with _load(uri) as stop:
        for name in KILLED:
            seconds = []
            for _ in range(ROUNDS):
                stop.wait(SETTLED_S)
                seconds.append(recovery_s(uri, signal.SIGKILL, stack.pid(name)))
            figures.add(f"recovery_{name.replace('-', '_')}_s", statistics.median(seconds))


def measure_cluster_recovery(_: Stack, figures: Figures) -> None:
    """A log of three servers, in a stack of its own, loses the leader of the points' stream."""
    with running_stack("--nats-nodes", "3") as stack:
        uri = f"grpc://{stack.target}"
        with _load(uri) as stop:
            stop.wait(SETTLED_S)
            leader = asyncio.run(_leader(stack.environment("gateway")["REKAM_NATS_URL"]))
            figures.add("recovery_nats_leader_s", recovery_s(uri, signal.SIGKILL, stack.pid(leader)))


async def _leader(urls: str) -> str:
    """Name of the process that leads the points' stream."""
    client = await nats.connect(urls.split(","))
    try:
        info = await client.jetstream().stream_info(points_stream(0))
    finally:
        await client.close()
    assert info.cluster is not None
    assert info.cluster.leader is not None
    return info.cluster.leader.removeprefix("rekam-local-")


@contextmanager
def _load(uri: str) -> Iterator[threading.Event]:
    """A program that logs until the block ends."""
    stop = threading.Event()
    load = threading.Thread(target=_log, args=(uri, stop), daemon=True)
    load.start()
    try:
        yield stop
    finally:
        stop.set()
        load.join()


def _log(uri: str, stop: threading.Event) -> None:
    client = rekam.Client(uri)
    run_id = client.create_run("0").info.run_id
    step = 0
    while not stop.wait(ROWS_EVERY_S):
        client.log_metrics(run_id, dict.fromkeys(KEYS, step * 0.5), step=step)
        step += 1
    client.flush(timeout=GIVEN_UP_S)
