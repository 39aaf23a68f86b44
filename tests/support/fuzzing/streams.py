"""Ingest streams of messages that are nearly right, and what must be found in the tables afterwards.

What is sent is read as the contract says (IngestRequest), not as the gateway reads it.
Whatever is acknowledged and not refused must lie there point by point, and nothing else.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

import grpc
import grpc.aio
import numpy as np
from google.protobuf.message import DecodeError, Message

from rekam_proto.ingest.v1 import ingest_pb2
from rekam_proto.tracking.v1 import metric_pb2, metric_pb2_grpc, text_pb2, text_pb2_grpc
from rekam_runtime.names import MAX_SEQUENCE, key_set_hash
from tests.support.fuzzing.mutating import DOUBLES, TEXTS, Mutator
from tests.support.fuzzing.requests import Known, Requests

INGEST = "/rekam_proto.ingest.v1.IngestService/Ingest"
REFUSALS = frozenset({3, 5, 6, 9})
ALL_BODIES = tuple(body.name for body in ingest_pb2.IngestRequest.DESCRIPTOR.oneofs_by_name["body"].fields)
_FIELDS = ingest_pb2.IngestRequest.DESCRIPTOR.fields_by_name
_KEYS = (("loss",), ("loss", "a/b"), ("a/b", "loss"), ("ä ö", "m.1", "x:y", "loss"))
_MOST_ID = 2**64 - 1
_HANDLES = 3

# One point: key, time, step, bits of the value.
Point = tuple[str, int, int, int]
# One line of text: run, stream, writer, time, line.
Line = tuple[str, str, str, int, str]


@dataclass
class Sent:
    """Frames that were taken, by run, writer and sequence; the first of equals counts."""

    frames: dict[tuple[str, str, int], list[Point]] = field(default_factory=dict)
    lines: list[Line] = field(default_factory=list)

    def take(self, run_id: str, writer: str, keys: Sequence[str], frame: ingest_pb2.Frame) -> None:
        bits = np.array(frame.values, "<f8").view("<u8").reshape(len(keys), -1).tolist()
        rows = list(zip(frame.times_us, frame.steps, strict=True))
        self.frames.setdefault(
            (run_id, writer, frame.sequence),
            [
                (key, *row, value)
                for key, column in zip(keys, bits, strict=True)
                for row, value in zip(rows, column, strict=True)
            ],
        )

    def take_text(self, run_id: str, writer: str, text: ingest_pb2.Text) -> None:
        """Its sequence is of the same count as those of frames."""
        place = (run_id, writer, text.sequence)
        if place not in self.frames:
            self.frames[place] = []
            self.lines += [
                (run_id, text.stream, writer, *line) for line in zip(text.times_us, text.lines, strict=True)
            ]

    def of_run(self, run_id: str) -> list[Point]:
        return sorted(
            point for (owner, *_), points in self.frames.items() if owner == run_id for point in points
        )


async def points_of(channel: grpc.aio.Channel, run_id: str) -> list[Point]:
    """Every point of a run as the API gives it."""
    metrics = metric_pb2_grpc.MetricServiceStub(channel)
    listed = (await metrics.ListMetrics(metric_pb2.ListMetricsRequest(run_id=run_id))).metrics
    found: list[Point] = []
    if listed:
        asked = metric_pb2.StreamHistoryRequest(run_ids=[run_id], keys=[metric.key for metric in listed])
        async for block in metrics.StreamHistory(asked):
            bits = np.array(block.points.values, "<f8").view("<u8").tolist()
            rows = zip(block.points.times_us, block.points.steps, bits, strict=True)
            found += [(block.key, *row) for row in rows]
    assert len(found) == sum(metric.points for metric in listed)
    return sorted(found)


async def lines_of(channel: grpc.aio.Channel, run_id: str) -> list[Line]:
    """Every line of a run as the API gives it."""
    texts = text_pb2_grpc.TextServiceStub(channel)
    listed = (await texts.ListTexts(text_pb2.ListTextsRequest(run_id=run_id))).texts
    found: list[Line] = []
    for stream in sorted({text.stream for text in listed}):
        async for block in texts.StreamText(text_pb2.StreamTextRequest(run_id=run_id, stream=stream)):
            lines = zip(block.times_us, block.lines, strict=True)
            found += [(run_id, stream, block.writer, *line) for line in lines]
    assert len(found) == sum(text.lines for text in listed)
    return found


@dataclass
class _Open:
    """What a handle names on this stream."""

    run_id: str
    writer: str
    next_sequence: int


class FuzzedStream:
    """One client: sends a request, waits for its answer, connects again when the stream has ended.

    mutated_share: of the requests; the others are as a client makes them.
    bodies: kinds of requests it sends beside frames.
    """

    def __init__(
        self,
        channel: grpc.aio.Channel,
        random: Random,
        run_ids: Sequence[str],
        known: Known,
        sent: Sent,
        mutated_share: float,
        bodies: Sequence[str] = ALL_BODIES,
    ) -> None:
        self._channel = channel
        self._random = random
        self._run_ids = run_ids
        self._sent = sent
        self._share = mutated_share
        self._bodies = bodies
        self._mutator = Mutator(random)
        self._requests = Requests(random, known)
        self._new_writer()
        # By "mutated" or "valid", body, and "taken", "refused" or "ended".
        self.outcomes: Counter[tuple[str, str, str]] = Counter()
        self.wrong: list[str] = []

    def _new_writer(self) -> None:
        # Long enough that no change makes another's of it.
        self._writer = f"writer-{self._random.getrandbits(64):016x}"
        self._sequences: Counter[str] = Counter()

    def _connect(self) -> None:
        self._call: grpc.aio.StreamStreamCall[bytes, ingest_pb2.IngestResponse] = self._channel.stream_stream(
            INGEST, request_serializer=None, response_deserializer=ingest_pb2.IngestResponse.FromString
        )()
        self._last_id = 0
        self._handles: dict[int, _Open | None] = {}
        self._key_sets: dict[bytes, Sequence[str]] = {}

    async def send(self, requests: int) -> None:
        """Send so many over a new stream, and over others as long as they are ended."""
        self._connect()
        for _ in range(requests):
            if not self._handles:
                await self._open()
            body, message = self._valid()
            id = 0 if body == "heartbeat" else self._next_id()
            request = ingest_pb2.IngestRequest(id=id, **{body: message})  # type: ignore[arg-type]
            mutated = self._random.random() < self._share
            await self._one(
                self._mutator.mutated(request) if mutated else request.SerializeToString(), body, mutated
            )
        self._call.cancel()

    async def _open(self) -> None:
        for handle, run_id in enumerate(self._run_ids[:_HANDLES]):
            opened = self._open_run(handle, run_id)
            request = ingest_pb2.IngestRequest(id=self._next_id(), open_run=opened)
            await self._one(request.SerializeToString(), "open_run", False)
        for keys in _KEYS:
            key_set = ingest_pb2.KeySet(hash=key_set_hash(keys), keys=keys)
            request = ingest_pb2.IngestRequest(id=self._next_id(), key_set=key_set)
            await self._one(request.SerializeToString(), "key_set", False)

    def _next_id(self) -> int:
        return min(self._last_id + self._random.choice((1, 1, 1, 5)), _MOST_ID)

    # ---- requests as a client makes them ----

    def _valid(self) -> tuple[str, Message]:
        body = "frame" if self._random.random() < 0.5 else self._random.choice(self._bodies)
        makers: dict[str, Callable[[], Message]] = {
            "frame": self._frame,
            "key_set": self._key_set,
            "open_run": lambda: self._open_run(self._random.randrange(_HANDLES), None),
            "text": self._text,
        }
        if body in makers:
            return body, makers[body]()
        return body, self._requests.make(_FIELDS[body].message_type)

    def _open_run(self, handle: int, run_id: str | None) -> ingest_pb2.OpenRun:
        run_id = run_id or self._random.choice(self._run_ids)
        if self._sequences[run_id] >= MAX_SEQUENCE - 1:  # after a great next_sequence
            self._new_writer()
        return ingest_pb2.OpenRun(
            handle=handle,
            run_id=run_id,
            writer=self._writer,
            rank=self._random.choice((None, 0, 7)),
            next_sequence=self._sequences[run_id] + 1,
        )

    def _key_set(self) -> ingest_pb2.KeySet:
        keys = self._random.choice(_KEYS)
        if self._random.random() < 0.3:
            keys = (*keys, f"k{self._random.randrange(50)}")
        return ingest_pb2.KeySet(hash=key_set_hash(keys), keys=keys)

    def _text(self) -> ingest_pb2.Text:
        random = self._random
        handle, sequence = self._place()
        lines = random.randrange(1, 4)
        return ingest_pb2.Text(
            run=handle,
            sequence=sequence,
            stream=random.choice(("stdout", "stderr")),
            times_us=[1_700_000_000_000_000 + line for line in range(lines)],
            lines=[random.choice(TEXTS)[:500] for _ in range(lines)],
        )

    def _place(self) -> tuple[int, int]:
        """Handle of an open run, and the next sequence there."""
        live = {handle: opened for handle, opened in self._handles.items() if opened is not None}
        handle = self._random.choice(list(live) or [0])
        return handle, live[handle].next_sequence if live else 1

    def _frame(self) -> ingest_pb2.Frame:
        random = self._random
        handle, sequence = self._place()
        hash, keys = random.choice(list(self._key_sets.items()) or [(b"", ("a",))])
        rows = random.choice((1, 1, 2, 5, 40))
        first = random.randrange(-10, 1_000)
        return ingest_pb2.Frame(
            run=handle,
            sequence=sequence,
            key_set=hash,
            steps=range(first, first + rows),
            times_us=[1_700_000_000_000_000 + random.randrange(10**9) for _ in range(rows)],
            values=[
                random.choice(DOUBLES) if random.random() < 0.1 else random.gauss(0, 1)
                for _ in range(rows * len(keys))
            ],
        )

    # ---- one request, and whether its answer is right ----

    async def _one(self, data: bytes, body: str, mutated: bool) -> None:
        read = _read(data)
        expected_id = read.id if read is not None and read.id > self._last_id else None
        if read is not None and read.id == 0 and read.HasField("heartbeat"):
            await self._call.write(data)
            self.outcomes["mutated" if mutated else "valid", body, "unanswered"] += 1
            return
        outcome = await self._exchange(data, read, expected_id)
        self.outcomes["mutated" if mutated else "valid", body, outcome] += 1

    async def _exchange(self, data: bytes, read: ingest_pb2.IngestRequest | None, id: int | None) -> str:
        refusal: ingest_pb2.Refusal | None = None
        try:
            await self._call.write(data)
            while True:
                answer: Any = await asyncio.wait_for(self._call.read(), 60)
                if answer == grpc.aio.EOF:
                    return await self._ended(data, id)
                if answer.HasField("refusal"):
                    refusal = answer.refusal
                else:
                    break
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            return await self._ended(data, id)
        self._last_id = answer.ack.id
        if read is None:
            # Numbers that are no whole number of words, which the gateway reads as bytes, and refuses.
            if refusal is None:
                self.wrong.append(f"taken, and cannot be read: {data[:200].hex()}")
            return "refused"
        if id != answer.ack.id or (refusal is not None and refusal.id != id):
            self.wrong.append(f"answered {answer.ack.id} for {id}: {data[:200].hex()}")
        return self._settle(read, refusal, data)

    async def _ended(self, data: bytes, id: int | None) -> str:
        code, details = await self._call.code(), await self._call.details()
        self._connect()
        if id is not None or code is not grpc.StatusCode.INVALID_ARGUMENT or not details:
            self.wrong.append(f"the stream ended with {code.name} {details}: {data[:200].hex()}")
        return "ended"

    def _settle(self, read: ingest_pb2.IngestRequest, refusal: ingest_pb2.Refusal | None, data: bytes) -> str:
        if refusal is not None and (refusal.code not in REFUSALS or not refusal.field or not refusal.message):
            self.wrong.append(f"refused without a reason, {refusal}: {data[:200].hex()}")
        match read.WhichOneof("body"):
            case "open_run":
                self._opened(read.open_run, refusal)
            case "key_set" if refusal is None:
                self._key_sets[read.key_set.hash] = tuple(read.key_set.keys)
            case "frame":
                self._framed(read.frame, refusal, data)
            case "text":
                opened = self._counted(read.text)
                if refusal is None and opened is not None:
                    self._sent.take_text(opened.run_id, opened.writer, read.text)
            case None if refusal is None:
                self.wrong.append(f"taken, and is nothing: {data[:200].hex()}")
        return "taken" if refusal is None else "refused"

    def _opened(self, opened: ingest_pb2.OpenRun, refusal: ingest_pb2.Refusal | None) -> None:
        """A handle that was refused takes no frames, whatever it named before."""
        if refusal is not None:
            self._handles[opened.handle] = None
        else:
            self._handles[opened.handle] = _Open(opened.run_id, opened.writer, opened.next_sequence)

    def _counted(self, record: ingest_pb2.Frame | ingest_pb2.Text) -> _Open | None:
        """The run it is for; what has the next sequence uses it up, also when it is refused."""
        opened = self._handles.get(record.run)
        if opened is not None and record.sequence == opened.next_sequence:
            opened.next_sequence += 1
            if opened.writer == self._writer:
                self._sequences[opened.run_id] = record.sequence
        return opened

    def _framed(self, frame: ingest_pb2.Frame, refusal: ingest_pb2.Refusal | None, data: bytes) -> None:
        opened = self._counted(frame)
        keys = self._key_sets.get(frame.key_set)
        if refusal is not None:
            return
        fits = keys is not None and len(frame.values) == len(keys) * len(frame.steps)
        if opened is None or keys is None or not fits or len(frame.steps) != len(frame.times_us):
            self.wrong.append(f"a frame was taken that does not fit: {data[:200].hex()}")
        else:
            self._sent.take(opened.run_id, opened.writer, keys, frame)


def _read(data: bytes) -> ingest_pb2.IngestRequest | None:
    try:
        return ingest_pb2.IngestRequest.FromString(data)
    except DecodeError:
        return None
