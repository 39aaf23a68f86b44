"""Rekam as one of the trackers: its ingest stream, its queries, a local stack."""

from __future__ import annotations

import queue
import time
from collections.abc import Iterator
from contextlib import contextmanager

import grpc
import numpy as np
from numpy.typing import NDArray

from bench.load import INGEST, Stream, make_plan, wait_until_queryable
from bench.peers.trackers import Batch
from bench.search_data import load_runs
from bench.stack import Stack, running_stack
from rekam_proto.ingest.v1 import ingest_pb2, views_pb2
from rekam_proto.tracking.v1 import metric_pb2, metric_pb2_grpc, run_pb2, run_pb2_grpc
from rekam_runtime.names import key_set_hash


class RekamClient:
    """One ingest stream, each request of which is waited for, and calls beside it."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._runs = run_pb2_grpc.RunServiceStub(channel)
        self._metrics = metric_pb2_grpc.MetricServiceStub(channel)
        self._outgoing: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        ingest: grpc.StreamStreamMultiCallable[bytes, ingest_pb2.IngestResponse] = channel.stream_stream(
            INGEST, request_serializer=None, response_deserializer=ingest_pb2.IngestResponse.FromString
        )
        self._answers = ingest(iter(self._outgoing.get, None))
        self._id = 0
        self._handles: dict[str, int] = {}
        self._sequences: dict[str, int] = {}
        self._key_sets: dict[tuple[str, ...], bytes] = {}

    def close(self) -> None:
        self._outgoing.put(None)
        self._answers.cancel()

    def create_run(self) -> str:
        return self._runs.CreateRun(run_pb2.CreateRunRequest(experiment_name="bench")).run_id

    def log_metric(self, run_id: str, key: str, value: float, step: int) -> None:
        self.log_batch(run_id, Batch((key,), np.array([step]), np.array([[value]])))

    def log_batch(self, run_id: str, batch: Batch) -> None:
        if run_id not in self._handles:
            handle = self._handles[run_id] = len(self._handles)
            opened = ingest_pb2.OpenRun(handle=handle, run_id=run_id, writer="bench", next_sequence=1)
            self._send(open_run=opened)
        if batch.keys not in self._key_sets:
            hash = self._key_sets[batch.keys] = key_set_hash(batch.keys)
            self._send(key_set=ingest_pb2.KeySet(hash=hash, keys=batch.keys))
        sequence = self._sequences[run_id] = self._sequences.get(run_id, 0) + 1
        frame = views_pb2.FrameView(
            run=self._handles[run_id],
            sequence=sequence,
            key_set=self._key_sets[batch.keys],
            steps=batch.steps.astype("<i8").tobytes(),
            times_us=(time.time_ns() // 1000 + batch.steps).astype("<i8").tobytes(),
            values=batch.values.astype("<f8").tobytes(),
        )
        self._send(frame=frame)

    def _send(self, **body: object) -> None:
        self._id += 1
        request = views_pb2.IngestRequestView(id=self._id, **body)  # type: ignore[arg-type]
        self._outgoing.put(request.SerializeToString())
        answer = next(self._answers)
        if answer.HasField("refusal") or answer.ack.id != self._id:
            raise RuntimeError(f"request {self._id} was answered {answer}")

    def history(self, run_id: str, key: str) -> NDArray[np.float64]:
        request = metric_pb2.StreamHistoryRequest(run_ids=[run_id], keys=[key])
        blocks = [block.points for block in self._metrics.StreamHistory(request)]
        steps = np.concatenate([np.array(points.steps) for points in blocks])
        values: NDArray[np.float64] = np.concatenate([np.array(points.values) for points in blocks])
        return values[np.argsort(steps, kind="stable")]

    def search(self, filled: str, metric: str, limit: int) -> int:
        request = run_pb2.SearchRunsRequest(
            experiment_ids=[filled],
            filter=f"metrics.{metric} > 0.5",
            order_by=[f"metrics.{metric} DESC"],
            page_size=limit,
        )
        return len(self._runs.SearchRuns(request).runs)


class RekamTracker:
    """A local stack."""

    name = "rekam"

    def __init__(self, stack: Stack) -> None:
        self.stack = stack

    @contextmanager
    def connect(self) -> Iterator[RekamClient]:
        options = [("grpc.max_receive_message_length", 64 * 2**20)]
        with grpc.insecure_channel(self.stack.target, options=options) as channel:
            client = RekamClient(channel)
            try:
                yield client
            finally:
                client.close()

    def fill_history(self, points: int) -> tuple[str, str]:
        plan = make_plan(runs=1, keys=1, rows=1_000, points=points, seed=5)
        Stream(self.stack.channel).send(plan.opening + plan.frames, first_id=1)
        wait_until_queryable(self.stack.channel, plan)
        return plan.run_ids[0], "layer0/stat0"

    def fill_runs(self, runs: int, metric: str) -> str:
        return load_runs(self.stack.environment("tracking-serve")["REKAM_POSTGRES_URL"], runs)

    def resident_mib(self) -> dict[str, float]:
        """What serves metrics and runs; artifacts and registry have no part in this work yet."""
        weights = self.stack.resident_mib()
        parts = ("gateway", "tracking-serve", "tracking-project", "nats")
        return {"server": sum(weights[part] for part in parts), "postgres": weights["postgres"]}


@contextmanager
def running_rekam() -> Iterator[RekamTracker]:
    with running_stack() as stack:
        yield RekamTracker(stack)
