"""A log that does not answer: the gateway takes in what its bounds allow, and no more; nothing is lost."""

from __future__ import annotations

import os
import signal
import time
import uuid
from collections.abc import Iterator

import grpc
import psutil
import pytest

from rekam_proto.ingest.v1 import ingest_pb2, ingest_pb2_grpc
from rekam_proto.local.v1 import local_pb2, local_pb2_grpc
from rekam_proto.tracking.v1 import metric_pb2, metric_pb2_grpc, run_pb2
from tests.support.ingest import frame, key_set

MIB = 1024 * 1024
ROWS = 30_000  # 24 bytes each: about 0.7 MB a frame
FRAMES = 150
MOST_TAKEN = 40 * MIB
LOSS = key_set("loss")


class Sender:
    """Frames of one run as fast as the stream takes them, counted."""

    def __init__(self) -> None:
        self.run_id = uuid.uuid4().hex
        self.taken = 0

    def requests(self) -> Iterator[ingest_pb2.IngestRequest]:
        creation = run_pb2.CreateRunRequest(run_id=self.run_id, experiment_id="0")
        yield ingest_pb2.IngestRequest(id=1, create_run=creation)
        opened = ingest_pb2.OpenRun(run_id=self.run_id, writer="test", next_sequence=1)
        yield ingest_pb2.IngestRequest(id=2, open_run=opened)
        yield ingest_pb2.IngestRequest(id=3, key_set=LOSS)
        for sequence in range(1, FRAMES + 1):
            first = sequence * ROWS
            sent = frame(sequence, LOSS, range(first, first + ROWS), [0.5] * ROWS)
            self.taken += sent.ByteSize()
            yield ingest_pb2.IngestRequest(id=3 + sequence, frame=sent)


@pytest.fixture
def channel(rekam_tracking_uri: str) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(rekam_tracking_uri.removeprefix("grpc://")) as opened:
        yield opened


def process(channel: grpc.Channel, name: str) -> psutil.Process:
    found = local_pb2_grpc.LocalStackServiceStub(channel).Describe(local_pb2.DescribeRequest()).processes
    (pid,) = (one.pid for one in found if one.name == name)
    return psutil.Process(pid)


def test_a_log_that_stands_still_slows_the_client_and_fills_no_memory(channel: grpc.Channel) -> None:
    nats, gateway = process(channel, "nats"), process(channel, "gateway")
    sender = Sender()
    answers = ingest_pb2_grpc.IngestServiceStub(channel).Ingest(sender.requests(), timeout=300)
    assert next(answers).ack.id >= 1
    resident = gateway.memory_info().rss
    os.kill(nats.pid, signal.SIGSTOP)
    try:
        before, deadline = -1, time.monotonic() + 30
        while before != sender.taken and time.monotonic() < deadline:
            before = sender.taken
            time.sleep(1)  # standing still is what is looked for
        stood_still = before == sender.taken
        taken, grown = sender.taken, gateway.memory_info().rss - resident
    finally:
        os.kill(nats.pid, signal.SIGCONT)
    assert stood_still
    # 8 MiB of the stream, and what gRPC and the sockets hold beside it.
    assert taken < MOST_TAKEN
    assert grown < 2 * MOST_TAKEN
    for answer in answers:
        assert not answer.HasField("refusal")
        if answer.ack.id == 3 + FRAMES:
            break
    answers.cancel()
    completeness = metric_pb2.GetCompletenessRequest(run_id=sender.run_id)
    (writer,) = metric_pb2_grpc.MetricServiceStub(channel).GetCompleteness(completeness).writers
    assert (writer.complete_up_to, writer.points) == (FRAMES, FRAMES * ROWS)
