"""Heartbeats: tells the server that this process lives, for each run that it writes.

On a stream of its own, apart from what is logged: neither an idle run nor one whose records
wait for room falls silent.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from rekam.delivery.channel import open_channel
from rekam.delivery.connection import METHOD
from rekam_proto.ingest.v1 import ingest_pb2

if TYPE_CHECKING:
    from rekam.recording.writer import RunWriter

log = logging.getLogger("rekam")

# The server does not know a run yet that was opened this very moment.
_FIRST_SECONDS = 0.2
_LONGEST_WAIT = 5.0
# A stream takes 65,536; a new one begins with none.
_MAX_HANDLES = 60_000


class Heart:
    """Beats for the active writers, while there are some."""

    def __init__(self, target: str, interval: float, active: Callable[[], Sequence[RunWriter]]) -> None:
        """interval: seconds from one heartbeat to the next. active: writers whose runs go on here."""
        self._target = target
        self._interval = interval
        self._active = active
        self._changed = threading.Condition()
        self._next_beat = 0.0
        self._retry = _FIRST_SECONDS
        self._stream: _Stream | None = None
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="rekam-heart", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """A run was opened or ended."""
        with self._changed:
            self._retry = _FIRST_SECONDS
            self._beat_within(self._retry)

    def close(self, timeout: float = 5.0) -> None:
        """Stop."""
        with self._changed:
            self._closed = True
            if self._stream is not None:
                self._stream.end()
            self._changed.notify_all()
        self._thread.join(timeout)

    def _run(self) -> None:
        import grpc

        wait = _FIRST_SECONDS
        while self._ready():
            stream = _Stream(self._target, self._requests, self._refused)
            with self._changed:
                if self._closed:
                    return
                self._stream = stream
            try:
                stream.run()
            except grpc.RpcError as error:
                if error.code() is grpc.StatusCode.INVALID_ARGUMENT:
                    log.warning("%s takes no heartbeats: %s", self._target, error.details())
                    return
            finally:
                with self._changed:
                    self._stream = None
                    self._changed.notify_all()
            with self._changed:
                if stream.answered:
                    wait = _FIRST_SECONDS
                self._changed.wait_for(lambda: self._closed, wait * random.uniform(0.5, 1.0))
            wait = min(2 * wait, _LONGEST_WAIT)

    def _ready(self) -> bool:
        """Wait until there is somebody to beat for; False when closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._active())
            return not self._closed

    def _requests(self, stream: _Stream) -> Iterator[ingest_pb2.IngestRequest]:
        """What one stream says, until it is over or nobody is active."""
        interval_ms = max(1, int(self._interval * 1000))
        while active := self._active():
            with self._changed:
                self._next_beat = time.monotonic() + self._interval
            yield from stream.opened(active)
            for writer in active:
                beat = ingest_pb2.Heartbeat(run=stream.handles[writer.writer], interval_ms=interval_ms)
                yield ingest_pb2.IngestRequest(heartbeat=beat)
            with self._changed:
                while not stream.over and (left := self._next_beat - time.monotonic()) > 0:
                    self._changed.wait(left)
            if stream.over or len(stream.handles) > _MAX_HANDLES:
                return

    def _refused(self) -> None:
        """A run could not be opened: it was not created yet, or is deleted. It is tried again."""
        with self._changed:
            self._beat_within(self._retry)
            self._retry = min(2 * self._retry, self._interval)

    def _beat_within(self, seconds: float) -> None:
        self._next_beat = min(self._next_beat, time.monotonic() + seconds)
        self._changed.notify_all()


class _Stream:
    """One ingest stream that carries heartbeats. handles: of the runs opened on it, by writer."""

    def __init__(
        self,
        target: str,
        requests: Callable[[_Stream], Iterator[ingest_pb2.IngestRequest]],
        refused: Callable[[], None],
    ) -> None:
        self.answered = False
        self.over = False
        self.handles: dict[str, int] = {}
        self._target = target
        self._requests = requests
        self._refused = refused
        self._last_id = 0
        self._opening: dict[int, str] = {}
        self._closed: set[str] = set()
        self._call: Any = None

    def run(self) -> None:
        """Returns when it is over; raises grpc.RpcError when it broke."""
        with open_channel(self._target) as channel:
            method: Any = channel.stream_stream(
                METHOD,
                request_serializer=ingest_pb2.IngestRequest.SerializeToString,
                response_deserializer=ingest_pb2.IngestResponse.FromString,
            )
            self._call = call = method(self._requests(self))
            try:
                for response in call:
                    self._receive(response)
            finally:
                self.end()

    def end(self) -> None:
        self.over = True
        if self._call is not None:
            self._call.cancel()

    def opened(self, writers: Sequence[RunWriter]) -> Iterator[ingest_pb2.IngestRequest]:
        """What makes these runs known to the stream, those that are not."""
        for writer in writers:
            name = writer.writer
            if name in self.handles and name not in self._closed:
                continue
            self._closed.discard(name)
            self._last_id += 1
            self._opening[self._last_id] = name
            handle = self.handles.setdefault(name, len(self.handles))
            opened = ingest_pb2.OpenRun(handle=handle, run_id=writer.run_id, writer=name, next_sequence=1)
            if writer.rank is not None:
                opened.rank = writer.rank
            yield ingest_pb2.IngestRequest(id=self._last_id, open_run=opened)

    def _receive(self, response: ingest_pb2.IngestResponse) -> None:
        self.answered = True
        if response.WhichOneof("body") == "refusal":
            self._closed.add(self._opening.pop(response.refusal.id))
            self._refused()
            return
        for id in [id for id in list(self._opening) if id <= response.ack.id]:
            del self._opening[id]
