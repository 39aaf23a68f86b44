"""The buffer: bounded, in order, nothing lost when the spool takes no more."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rekam.errors import SpoolFull
from rekam.recording.buffer import Buffer
from rekam.recording.writer import RunWriter
from rekam.spool.cursor import Cursor
from rekam.spool.spool import Spool
from rekam_proto.ingest.v1 import ingest_pb2
from rekam_proto.tracking.v1 import read_pb2

RUN = "0" * 32
MIB = 1024 * 1024


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    spool = Spool.create(tmp_path, "localhost:1", limit=4 * MIB, fsync="never")
    yield spool
    spool.abandon()


def new_writer(buffer: Buffer, handle: int = 0) -> RunWriter:
    return RunWriter(RUN, None, lambda: (buffer, handle))


def bodies(spool: Spool) -> list[ingest_pb2.IngestRequest]:
    cursor = Cursor(spool, spool.acknowledged)
    found = []
    while (stored := cursor.next()) is not None:
        found.append(ingest_pb2.IngestRequest.FromString(stored.record.body))
        spool.acknowledge(stored.position)
    cursor.close()
    return found


def test_rows_of_one_key_set_share_a_frame_and_control_records_keep_their_place(spool: Spool) -> None:
    buffer = Buffer(spool, limit=MIB, flush_interval=60, raise_when_full=False)
    writer = new_writer(buffer)
    for step in range(10):
        writer.log_metrics({"a": step, "b": -step}, step)
        writer.log_metric("c", step, step)
    writer.log_params([read_pb2.Param(key="p", value="1")])
    writer.log_metric("c", 10, 10)
    assert buffer.drain()
    requests = bodies(spool)
    assert [request.WhichOneof("body") for request in requests] == ["frame", "frame", "log_params", "frame"]
    assert [request.frame.sequence for request in requests if request.HasField("frame")] == [1, 2, 3]
    assert list(requests[0].frame.values) == [*range(10), *[-step for step in range(10)]]
    assert list(requests[1].frame.steps) == list(range(10))
    assert requests[2].log_params.origin.sequence == 1
    assert buffer.held == 0
    buffer.close()


def test_nothing_is_logged_when_a_value_is_bad(spool: Spool) -> None:
    buffer = Buffer(spool, limit=MIB, flush_interval=60, raise_when_full=False)
    writer = new_writer(buffer)
    with pytest.raises(ValueError, match="metrics"):
        writer.log_metrics({"a": 1.0, "b": "two"}, 0)
    with pytest.raises(ValueError, match="metrics"):
        writer.log_metric("a", "one", 0)
    writer.log_metrics({}, 0)
    assert buffer.drain()
    assert bodies(spool) == []
    buffer.close()


def test_a_full_buffer_raises_when_told_to_and_keeps_what_it_took(spool: Spool) -> None:
    buffer = Buffer(spool, limit=MIB, flush_interval=0.01, raise_when_full=True)
    writer = new_writer(buffer)
    metrics = {f"k{i}": 1.0 for i in range(1000)}
    logged = 0
    with pytest.raises(SpoolFull, match="REKAM_ON_FULL"):
        while True:
            writer.log_metrics(metrics, logged)
            logged += 1
    # The row that found it full was taken too.
    logged += 1
    assert spool.bytes <= 4 * MIB
    steps = drain_all(buffer, spool)
    assert steps == list(range(logged))
    buffer.close()


def test_a_full_buffer_blocks_until_there_is_room(spool: Spool) -> None:
    buffer = Buffer(spool, limit=MIB, flush_interval=0.01, raise_when_full=False)
    writer = new_writer(buffer)
    metrics = {f"k{i}": 1.0 for i in range(1000)}
    total = 2_000  # four times what buffer and spool hold

    def log() -> None:
        for step in range(total):
            writer.log_metrics(metrics, step)

    thread = threading.Thread(target=log)
    thread.start()
    steps: list[int] = []
    deadline = time.monotonic() + 60
    while len(steps) < total and time.monotonic() < deadline:
        assert buffer.held <= 2 * MIB
        for request in bodies(spool):
            steps += request.frame.steps
    thread.join(10)
    assert steps == list(range(total))
    buffer.close()


def test_threads_lose_nothing(spool: Spool) -> None:
    buffer = Buffer(spool, limit=MIB, flush_interval=0.001, raise_when_full=False)
    writer = new_writer(buffer)

    def log(number: int) -> None:
        for step in range(2_000):
            writer.log_metrics({"value": number, f"of{number}": step}, step)

    threads = [threading.Thread(target=log, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert buffer.drain()
    steps: dict[float, list[int]] = {}
    sequences = []
    for request in bodies(spool):
        frame = request.frame
        sequences.append(frame.sequence)
        steps.setdefault(frame.values[0], []).extend(frame.steps)
    assert sequences == list(range(1, len(sequences) + 1))
    assert steps == {number: list(range(2_000)) for number in range(4)}
    assert buffer.held == 0
    buffer.close()


def drain_all(buffer: Buffer, spool: Spool) -> list[int]:
    steps: list[int] = []
    while True:
        done = buffer.drain(time.monotonic() + 0.05)
        for request in bodies(spool):
            steps += request.frame.steps
        if done:
            return steps
