"""Load generator: sends frames over one ingest stream, as fast as they are taken.

    python -m bench.load --grpc HOST:PORT --runs 4 --keys 100 --rows 80 --points 100000000

Frames are made before the clock starts: random walks, different in every run, key and
row. Prints one JSON line: when the first frame was sent, when everything was seen by a
strong read, and what a reader must find in each run.
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field

import click
import grpc
import numpy as np

from bench.checksum import Checksum
from rekam_proto.ingest.v1 import ingest_pb2, views_pb2
from rekam_proto.tracking.v1 import metric_pb2, metric_pb2_grpc, run_pb2
from rekam_runtime.names import key_set_hash

INGEST = "/rekam_proto.ingest.v1.IngestService/Ingest"
# Requests on their way. The gateway bounds bytes; this only bounds the generator.
WINDOW = 512


@dataclass
class Plan:
    """Serialized requests in the order of sending, and what must be found afterwards."""

    run_ids: list[str]
    frames_per_run: int
    opening: list[bytes] = field(default_factory=list)
    frames: list[bytes] = field(default_factory=list)
    expected: dict[str, Checksum] = field(default_factory=dict)


def make_plan(runs: int, keys: int, rows: int, points: int, seed: int) -> Plan:
    """Random walks of `points` points in all, spread evenly over the runs."""
    random = np.random.default_rng(seed)
    names = [f"layer{i // 4}/stat{i % 4}" for i in range(keys)]
    key_set = key_set_hash(names)
    frames_per_run = max(1, points // (runs * keys * rows))
    plan = Plan([uuid.uuid4().hex for _ in range(runs)], frames_per_run)

    def request(**body: object) -> bytes:
        request_id = len(plan.opening) + len(plan.frames) + 1
        return views_pb2.IngestRequestView(id=request_id, **body).SerializeToString()  # type: ignore[arg-type]

    plan.opening.append(request(key_set=ingest_pb2.KeySet(hash=key_set, keys=names)))
    for handle, run_id in enumerate(plan.run_ids):
        creation = run_pb2.CreateRunRequest(run_id=run_id, experiment_name="bench", user="bench")
        creation.origin.writer, creation.origin.sequence = "bench", 1
        plan.opening.append(request(create_run=creation))
        opened = ingest_pb2.OpenRun(handle=handle, run_id=run_id, writer="bench", next_sequence=1)
        plan.opening.append(request(open_run=opened))
        plan.expected[run_id] = Checksum()

    now_us = time.time_ns() // 1000
    level = np.zeros((runs, keys))
    for number in range(frames_per_run):
        steps = np.arange(number * rows, (number + 1) * rows, dtype="<i8")
        times = now_us + steps * 1000
        for handle, run_id in enumerate(plan.run_ids):
            values = np.cumsum(random.standard_normal((keys, rows)), axis=1) + level[handle, :, None]
            level[handle] = values[:, -1]
            plan.expected[run_id].add(values.ravel(), steps, columns=keys)
            frame = views_pb2.FrameView(
                run=handle,
                sequence=number + 1,
                key_set=key_set,
                steps=steps.tobytes(),
                times_us=times.tobytes(),
                values=values.astype("<f8").tobytes(),
            )
            plan.frames.append(request(frame=frame))
    return plan


class Stream:
    """One ingest stream that sends serialized requests and waits for their acknowledgement."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._ingest: grpc.StreamStreamMultiCallable[bytes, ingest_pb2.IngestResponse] = (
            channel.stream_stream(
                INGEST,
                request_serializer=None,
                response_deserializer=ingest_pb2.IngestResponse.FromString,
            )
        )
        self._free = threading.Semaphore(WINDOW)

    def send(self, requests: list[bytes], first_id: int) -> None:
        """Send all; returns when the last is acknowledged, raises when one is refused."""
        acknowledged = first_id - 1
        last_id = acknowledged + len(requests)
        done = threading.Event()

        def outgoing() -> Iterator[bytes]:
            for request in requests:
                self._free.acquire()
                yield request
            done.wait()

        try:
            for response in self._ingest(outgoing()):
                if response.HasField("refusal"):
                    raise click.ClickException(f"refused: {response.refusal}")
                self._free.release(response.ack.id - acknowledged)
                acknowledged = response.ack.id
                if acknowledged == last_id:
                    break
        finally:
            done.set()


def wait_until_queryable(channel: grpc.Channel, plan: Plan) -> None:
    """A strong read of every run that must have all frames."""
    metrics = metric_pb2_grpc.MetricServiceStub(channel)
    for run_id in plan.run_ids:
        request = metric_pb2.GetCompletenessRequest(run_id=run_id)
        (writer,) = metrics.GetCompleteness(request, timeout=120).writers
        if writer.complete_up_to != plan.frames_per_run or writer.points != plan.expected[run_id].points:
            raise click.ClickException(f"incomplete: {writer}")


@click.command(help=__doc__)
@click.option("--grpc", "target", required=True)
@click.option("--runs", default=4)
@click.option("--keys", default=100)
@click.option("--rows", default=80)
@click.option("--points", default=100_000_000)
@click.option("--seed", default=1)
def main(target: str, runs: int, keys: int, rows: int, points: int, seed: int) -> None:
    plan = make_plan(runs, keys, rows, points, seed)
    options = [("grpc.max_receive_message_length", 64 * 2**20)]
    with grpc.insecure_channel(target, options=options) as channel:
        stream = Stream(channel)
        started = time.time()
        stream.send(plan.opening + plan.frames, first_id=1)
        acknowledged = time.time()
        wait_until_queryable(channel, plan)
        queryable = time.time()
    total = sum(checksum.points for checksum in plan.expected.values())
    result = {
        "points": total,
        "requests": len(plan.opening) + len(plan.frames),
        "started": started,
        "acknowledged_s": acknowledged - started,
        "queryable_s": queryable - started,
        "expected": {run_id: asdict(checksum) for run_id, checksum in plan.expected.items()},
    }
    click.echo(json.dumps(result))


if __name__ == "__main__":
    main()
