"""A plain client of the ingest stream, for tests that send what the SDK never would."""

from __future__ import annotations

import queue
from array import array
from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType

import grpc

from rekam_proto.ingest.v1 import ingest_pb2, ingest_pb2_grpc
from rekam_runtime.names import key_set_hash

TIMEOUT_SECONDS = 120.0


def key_set(*keys: str) -> ingest_pb2.KeySet:
    return ingest_pb2.KeySet(hash=key_set_hash(keys), keys=keys)


def frame(
    sequence: int,
    keys: ingest_pb2.KeySet,
    steps: Sequence[int],
    values: Sequence[float] | array[float],
    *,
    run: int = 0,
    times_us: Sequence[int] | None = None,
) -> ingest_pb2.Frame:
    times = [1_700_000_000_000_000 + i for i in range(len(steps))] if times_us is None else times_us
    return ingest_pb2.Frame(
        run=run, sequence=sequence, key_set=keys.hash, steps=steps, times_us=times, values=values
    )


def text(sequence: int, lines: Iterable[str], *, stream: str = "stdout", run: int = 0) -> ingest_pb2.Text:
    said = list(lines)
    times = range(1_700_000_000_000_000, 1_700_000_000_000_000 + len(said))
    return ingest_pb2.Text(run=run, sequence=sequence, stream=stream, times_us=times, lines=said)


class IngestStream:
    """One stream; `send` numbers the requests and waits for the answer to each."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._outgoing: queue.Queue[ingest_pb2.IngestRequest | None] = queue.Queue(maxsize=1000)
        self._call = ingest_pb2_grpc.IngestServiceStub(channel).Ingest(
            self._requests(), timeout=TIMEOUT_SECONDS
        )
        self._next_id = 1

    def __enter__(self) -> IngestStream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._outgoing.put(None)
        self._call.cancel()

    def send(self, **body: object) -> ingest_pb2.Refusal | None:
        """Send one request; None when it was acknowledged, else its refusal."""
        return self.send_raw(ingest_pb2.IngestRequest(id=self._next_id, **body))  # type: ignore[arg-type]

    def send_raw(self, request: ingest_pb2.IngestRequest) -> ingest_pb2.Refusal | None:
        """Send a request as it is; raises grpc.RpcError when the stream ends."""
        self._next_id = request.id + 1
        self._outgoing.put(request)
        refusal = None
        while True:
            response = next(self._call)
            if response.HasField("refusal"):
                refusal = response.refusal
                assert refusal.id == request.id
            elif response.ack.id >= request.id:
                return refusal

    def tell(self, **body: object) -> None:
        """Send what is not answered: a request with id 0."""
        self._outgoing.put(ingest_pb2.IngestRequest(id=0, **body))  # type: ignore[arg-type]

    def open(
        self,
        run_id: str,
        *,
        writer: str = "test",
        handle: int = 0,
        next_sequence: int = 1,
        rank: int | None = None,
    ) -> None:
        opened = ingest_pb2.OpenRun(
            handle=handle, run_id=run_id, writer=writer, next_sequence=next_sequence, rank=rank
        )
        refusal = self.send(open_run=opened)
        assert refusal is None, refusal

    def _requests(self) -> Iterator[ingest_pb2.IngestRequest]:
        while (request := self._outgoing.get()) is not None:
            yield request
