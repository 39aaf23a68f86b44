"""A steady load: frames at a given rate for a given time, from as many processes as there are runs.

    python -m bench.steady --grpc HOST:PORT --runs 1200 --keys 9500 --rows 1 --frames-per-s 48 --seconds 60

Every run has a stream, a writer and a key set of its own, as training processes have. Prints `started`
when the clock starts, and at the end one JSON line: how much was acknowledged in which time, how long
it took from an acknowledgement until a reader saw the points, and what must be found in each run.
"""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from dataclasses import asdict, dataclass, field
from typing import NoReturn

import click
import grpc.aio
import numpy as np

from bench.checksum import Checksum
from bench.load import INGEST
from rekam_proto.ingest.v1 import ingest_pb2, views_pb2
from rekam_proto.tracking.v1 import metric_pb2, metric_pb2_grpc, read_pb2, run_pb2
from rekam_runtime.names import key_set_hash

POLL_S = 0.01
STRONG_EVERY_S = 1.0
OPENED_AT_ONCE = 32
CHANNELS = 4

Ingest = grpc.aio.StreamStreamMultiCallable[bytes, ingest_pb2.IngestResponse]


@dataclass
class Progress:
    """What all writers have acknowledged.

    newest: run, sequence and time of the last one, for whoever looks when it can be read.
    late_s: the most that a frame was sent after its time.
    """

    newest: tuple[str, int, float] | None = None
    last_at: float = 0.0
    acknowledge_s: float = 0.0
    late_s: float = 0.0
    lags_s: list[float] = field(default_factory=list)
    strong_reads_s: list[float] = field(default_factory=list)


class Writer:
    """One training process: a stream, a run, a key set."""

    def __init__(self, ingest: Ingest, keys: list[str], rows: int, seed: int, progress: Progress) -> None:
        self.run_id = uuid.uuid4().hex
        self.expected = Checksum()
        self.frames = 0
        self._keys = keys
        self._rows = rows
        self._random = np.random.default_rng(seed)
        self._progress = progress
        self._hash = key_set_hash(keys)
        self._ingest = ingest
        self._opening = 3  # requests before the first frame
        self._sent_at: dict[int, float] = {}

    async def open(self) -> None:
        """Create the run, and make it and its key set known to the stream."""
        self._call = self._ingest()
        creation = run_pb2.CreateRunRequest(run_id=self.run_id, experiment_name="bench", user="bench")
        creation.origin.writer, creation.origin.sequence = "bench", 1
        opened = ingest_pb2.OpenRun(handle=0, run_id=self.run_id, writer="bench", next_sequence=1)
        await self._write(1, create_run=creation)
        await self._write(2, open_run=opened)
        await self._write(3, key_set=ingest_pb2.KeySet(hash=self._hash, keys=self._keys))
        while await self._answer() < self._opening:
            pass

    async def send(self) -> None:
        """The next frame, with values that nobody has sent before."""
        self.frames += 1
        steps = np.arange((self.frames - 1) * self._rows, self.frames * self._rows, dtype="<i8")
        values = self._random.standard_normal(len(self._keys) * self._rows)
        self.expected.add(values, steps, columns=len(self._keys))
        frame = views_pb2.FrameView(
            run=0,
            sequence=self.frames,
            key_set=self._hash,
            steps=steps.tobytes(),
            times_us=(time.time_ns() // 1000 + steps).tobytes(),
            values=values.tobytes(),
        )
        self._sent_at[self.frames] = time.monotonic()
        await self._write(self._opening + self.frames, frame=frame)

    async def follow(self, frames: int) -> None:
        """Note acknowledgements until so many frames have theirs."""
        done = 0
        while done < frames:
            acknowledged = await self._answer() - self._opening
            now = time.monotonic()
            for sequence in range(done + 1, acknowledged + 1):
                waited_s = now - self._sent_at.pop(sequence)
                self._progress.acknowledge_s = max(self._progress.acknowledge_s, waited_s)
            done = acknowledged
            self._progress.newest = (self.run_id, done, now)
            self._progress.last_at = now

    async def _write(self, id: int, **body: object) -> None:
        request = views_pb2.IngestRequestView(id=id, **body)  # type: ignore[arg-type]
        try:
            await self._call.write(request.SerializeToString())
        except (asyncio.InvalidStateError, grpc.aio.AioRpcError):
            await self._fail()

    async def _fail(self) -> NoReturn:
        code, details = await self._call.code(), await self._call.details()
        raise click.ClickException(f"the stream ended: {code.name} {details}")

    async def _answer(self) -> int:
        """The next id up to which all is acknowledged."""
        answer = await self._call.read()
        if not isinstance(answer, ingest_pb2.IngestResponse):
            await self._fail()
        if answer.HasField("refusal"):
            raise click.ClickException(f"refused: {answer.refusal}")
        return answer.ack.id


async def load(
    target: str, runs: int, keys: int, rows: int, frames_per_s: float, seconds: float
) -> dict[str, object]:
    channels = [
        # Not one connection for all: channels with the same settings would share it.
        grpc.aio.insecure_channel(target, options=[("rekam.bench.channel", number)])
        for number in range(CHANNELS)
    ]
    progress = Progress()
    names = [f"layer{i // 4}/stat{i % 4}" for i in range(keys)]
    writers = [
        Writer(_ingest(channels[n % CHANNELS]), names, rows, seed=n, progress=progress) for n in range(runs)
    ]
    free = asyncio.Semaphore(OPENED_AT_ONCE)

    async def open_one(writer: Writer) -> None:
        async with free:
            await writer.open()

    await asyncio.gather(*map(open_one, writers))
    frames = round(frames_per_s * seconds)
    click.echo("started")
    started = time.monotonic()

    async def write(number: int) -> None:
        for frame in range(number, frames, runs):
            due = started + frame / frames_per_s
            await asyncio.sleep(due - time.monotonic())
            await writers[number].send()
            progress.late_s = max(progress.late_s, time.monotonic() - due)

    reads = [asyncio.create_task(read(channels[0], progress)) for read in (_lag, _strong)]
    async with asyncio.TaskGroup() as tasks:
        for number, writer in enumerate(writers):
            tasks.create_task(write(number))
            tasks.create_task(writer.follow(len(range(number, frames, runs))))
    for read in reads:
        if read.done():
            read.result()  # they go on for ever: it has failed
        read.cancel()
    metrics = metric_pb2_grpc.MetricServiceStub(channels[0])
    for writer in writers:
        request = metric_pb2.GetCompletenessRequest(run_id=writer.run_id)
        (found,) = (await metrics.GetCompleteness(request, timeout=120)).writers
        if (found.complete_up_to, found.points) != (writer.frames, writer.expected.points):
            raise click.ClickException(f"incomplete: {found}")
    return {
        "points": sum(writer.expected.points for writer in writers),
        "acknowledged_s": progress.last_at - started,
        "acknowledge_s": progress.acknowledge_s,
        "late_s": progress.late_s,
        "lags_s": progress.lags_s,
        "strong_reads_s": progress.strong_reads_s,
        "expected": {writer.run_id: asdict(writer.expected) for writer in writers},
    }


def _ingest(channel: grpc.aio.Channel) -> Ingest:
    return channel.stream_stream(
        INGEST, request_serializer=None, response_deserializer=ingest_pb2.IngestResponse.FromString
    )


async def _has(
    metrics: metric_pb2_grpc.MetricServiceAsyncStub, request: metric_pb2.GetCompletenessRequest, sequence: int
) -> bool:
    try:
        answer = await metrics.GetCompleteness(request)
    except grpc.aio.AioRpcError as error:
        if error.code() != grpc.StatusCode.NOT_FOUND:
            raise
        return False  # the run itself is not projected yet
    return bool(answer.writers) and answer.writers[0].complete_up_to >= sequence


async def _lag(channel: grpc.aio.Channel, progress: Progress) -> None:
    """From the acknowledgement of the newest frame until an eventual read has it, again and again."""
    metrics = metric_pb2_grpc.MetricServiceStub(channel)
    while True:
        await asyncio.sleep(POLL_S)
        if progress.newest is None:
            continue
        run_id, sequence, at = progress.newest
        request = metric_pb2.GetCompletenessRequest(run_id=run_id, consistency=read_pb2.CONSISTENCY_EVENTUAL)
        while True:
            if await _has(metrics, request, sequence):
                break
            await asyncio.sleep(POLL_S)
        progress.lags_s.append(time.monotonic() - at)


async def _strong(channel: grpc.aio.Channel, progress: Progress) -> None:
    """How long a strong read of what was acknowledged a moment ago takes."""
    metrics = metric_pb2_grpc.MetricServiceStub(channel)
    while True:
        await asyncio.sleep(STRONG_EVERY_S)
        if progress.newest is None:
            continue
        run_id, sequence, _ = progress.newest
        began = time.monotonic()
        (found,) = (await metrics.GetCompleteness(metric_pb2.GetCompletenessRequest(run_id=run_id))).writers
        if found.complete_up_to < sequence:
            raise click.ClickException(f"a strong read does not see frame {sequence}: {found}")
        progress.strong_reads_s.append(time.monotonic() - began)


@click.command(help=__doc__)
@click.option("--grpc", "target", required=True)
@click.option("--runs", default=4)
@click.option("--keys", default=100)
@click.option("--rows", default=80)
@click.option("--frames-per-s", default=100.0)
@click.option("--seconds", default=60.0)
def main(target: str, runs: int, keys: int, rows: int, frames_per_s: float, seconds: float) -> None:
    click.echo(json.dumps(asyncio.run(load(target, runs, keys, rows, frames_per_s, seconds))))


if __name__ == "__main__":
    main()
