"""One ingest stream: what is sent on it, what comes back."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from rekam.delivery.channel import open_channel
from rekam.spool.cursor import Cursor
from rekam.spool.records import Kind, Stored
from rekam.spool.spool import Spool
from rekam_proto.ingest.v1 import ingest_pb2

if TYPE_CHECKING:
    import grpc

METHOD = "/rekam_proto.ingest.v1.IngestService/Ingest"
# Sent and not acknowledged, at most.
WINDOW_BYTES = 16 * 1024 * 1024
WINDOW_RECORDS = 4_096
# A server that owes an acknowledgement for so long is given up; connecting again sends again.
STALL_SECONDS = 60.0
# A key set named twice would be sent twice; a stream takes 65,536.
_MAX_KEY_SETS = 60_000


class Connection:
    """Sends a spool's outstanding records over one stream until it breaks or is closed.

    Definitions go out just before the first record that relies on them, with the ids just
    below that record's: a record's header alone has more bytes than there are such ids.
    """

    def __init__(
        self,
        target: str,
        spool: Spool,
        refused: Callable[[int, ingest_pb2.Refusal, bytes], None],
        *,
        heard: Callable[[], None],
        until_empty: bool = False,
    ) -> None:
        self.answered = False
        self._target = target
        self._spool = spool
        self._refused = refused
        self._heard = heard
        self._until_empty = until_empty
        self._closed = False
        self._call: grpc.Call | None = None
        self._sending = False
        self._open_again = False
        self._stopped = threading.Event()
        # (position, bytes, body) of what is sent and not acknowledged; bodies only of control records.
        self._window: deque[tuple[int, int, bytes]] = deque()
        self._window_bytes = 0
        self._heard_at = time.monotonic()

    def run(self) -> None:
        """Returns after `close`, or when all is acknowledged with until_empty; raises grpc.RpcError."""
        import grpc

        with open_channel(self._target) as channel:
            method: Any = channel.stream_stream(
                METHOD, request_serializer=None, response_deserializer=ingest_pb2.IngestResponse.FromString
            )
            call = method(self._requests())
            self._call = call
            try:
                if not self._closed:
                    for response in call:
                        self._receive(response)
            except grpc.RpcError:
                if not self._closed:
                    raise
            finally:
                self._closed = True
                call.cancel()
                with self._spool.changed:
                    self._spool.changed.notify_all()
                if self._sending:
                    self._stopped.wait(timeout=5.0)

    def close(self) -> None:
        """End the stream soon; any thread may call it."""
        self._closed = True
        call = self._call
        if call is not None:
            call.cancel()
        with self._spool.changed:
            self._spool.changed.notify_all()

    # ---- the sending side, in gRPC's thread ----

    def _requests(self) -> Iterator[bytes]:
        cursor = Cursor(self._spool, self._spool.acknowledged)
        opened: dict[int, bytes] = {}
        expected: dict[int, int] = {}
        known_key_sets: set[bytes] = set()
        self._sending = True
        try:
            while not self._closed:
                stored = cursor.next()
                if stored is None:
                    if self._idle(cursor):
                        return
                    continue
                record = stored.record
                if not self._admit(stored):
                    return
                if record.kind is not Kind.CONTROL:
                    if self._open_again:
                        self._open_again = False
                        opened.clear()
                    run = cursor.runs[record.handle]
                    if opened.get(record.handle) != run or expected[record.handle] != record.sequence:
                        opened[record.handle] = run
                        yield _with_id(stored.position - 2, _open_at(run, record.sequence))
                    expected[record.handle] = record.sequence + 1
                    if record.kind is Kind.FRAME and record.key_set not in known_key_sets:
                        known_key_sets.add(record.key_set)
                        yield _with_id(stored.position - 1, cursor.key_sets[record.key_set])
                yield _with_id(stored.position, record.body)
                if len(known_key_sets) > _MAX_KEY_SETS:
                    return  # a new stream begins with none
        finally:
            cursor.close()
            self._stopped.set()

    def _idle(self, cursor: Cursor) -> bool:
        """Wait for records; True when there is nothing more to send on this stream."""
        with self._spool.changed:
            if not self._window:
                # What was skipped as damaged will never be acknowledged by the server.
                self._spool.acknowledge(cursor.reached - 1)
                if self._until_empty:
                    return True
            if cursor.reached < self._spool.end:
                return False
            self._wait()
            return False

    def _admit(self, stored: Stored) -> bool:
        """Wait for room in the window and take it; False when the stream is closed meanwhile."""
        size = stored.record.size
        with self._spool.changed:
            while self._window and (
                self._window_bytes + size > WINDOW_BYTES or len(self._window) >= WINDOW_RECORDS
            ):
                if self._closed:
                    return False
                self._wait()
            if not self._window:
                self._heard_at = time.monotonic()
            body = stored.record.body if stored.record.kind is Kind.CONTROL else b""
            self._window.append((stored.position, size, body))
            self._window_bytes += size
        return not self._closed

    def _wait(self) -> None:
        """Wait for the spool to change, as long as the server owes nothing for too long."""
        if self._closed:
            return
        if not self._window:
            self._spool.changed.wait()
            return
        left = self._heard_at + STALL_SECONDS - time.monotonic()
        if left > 0:
            self._spool.changed.wait(left)
        elif self._call is not None:
            self._call.cancel()
            self._closed = True

    # ---- the receiving side ----

    def _receive(self, response: ingest_pb2.IngestResponse) -> None:
        self.answered = True
        self._heard()
        self._heard_at = time.monotonic()
        if response.WhichOneof("body") == "refusal":
            refusal = response.refusal
            with self._spool.changed:
                body = next((body for position, _, body in self._window if position == refusal.id), b"")
            self._refused(refusal.id, refusal, body)
            if refusal.field.startswith(("open_run", "frame.run", "text.run")):
                # The run is deleted, say. It may be restored while this stream lasts.
                self._open_again = True
            return
        with self._spool.changed:
            while self._window and self._window[0][0] <= response.ack.id:
                _, size, _ = self._window.popleft()
                self._window_bytes -= size
        self._spool.acknowledge(response.ack.id)


def _with_id(id: int, body: bytes) -> bytes:
    """An IngestRequest: its id (field 1, varint), then the body's fields."""
    head = bytearray(b"\x08")
    while id > 0x7F:
        head.append(id & 0x7F | 0x80)
        id >>= 7
    head.append(id)
    return bytes(head) + body


def _open_at(body: bytes, sequence: int) -> bytes:
    """An open_run body that announces `sequence` as the next frame's or text's."""
    request = ingest_pb2.IngestRequest.FromString(body)
    request.open_run.next_sequence = sequence
    return request.SerializeToString()
