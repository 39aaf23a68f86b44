"""One ingest stream: what is sent on it, what comes back."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
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
_NOT_FOUND = 5


@dataclass(frozen=True, slots=True)
class _Sent:
    """A record that is sent and not acknowledged."""

    position: int
    size: int
    body: bytes  # of control records only
    waits: bool


class Connection:
    """Sends a spool's outstanding records over one stream until it breaks or is closed.

    Definitions go out just before the first record that relies on them, with the ids just
    below that record's: a record's header alone has more bytes than there are such ids.

    missing: the run that the server does not know yet although a record waits for it. Nothing
    from that record on is acknowledged then, and the stream has ended.
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
        self.missing = ""
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
        self._window: deque[_Sent] = deque()
        self._window_bytes = 0
        self._heard_at = time.monotonic()

    def run(self) -> None:
        """Returns after `close`, when a run is `missing`, or when all is acknowledged with until_empty.

        Raises grpc.RpcError when the stream breaks.
        """
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
                        if self.missing:
                            break
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
                run = record if record.kind is Kind.CONTROL else cursor.runs[record.handle]
                if not self._admit(stored, run.waits):
                    return
                if record.kind is not Kind.CONTROL:
                    if self._open_again:
                        self._open_again = False
                        opened.clear()
                    if opened.get(record.handle) != run.body or expected[record.handle] != record.sequence:
                        opened[record.handle] = run.body
                        yield _with_id(stored.position - 2, _open_at(run.body, record.sequence))
                    expected[record.handle] = record.sequence + 1
                    if record.kind is Kind.FRAME and record.key_set not in known_key_sets:
                        known_key_sets.add(record.key_set)
                        yield _with_id(stored.position - 1, cursor.key_sets[record.key_set].body)
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

    def _admit(self, stored: Stored, waits: bool) -> bool:
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
            self._window.append(_Sent(stored.position, size, body, waits))
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
            sent = self._sent(refusal.id)
            if sent is not None and sent.waits and refusal.code == _NOT_FOUND and _names_run(refusal.field):
                self.missing = refusal.message
                return
            self._refused(refusal.id, refusal, sent.body if sent is not None else b"")
            if refusal.field.startswith(("open_run", "frame.run", "text.run")):
                # The run is deleted, say. It may be restored while this stream lasts.
                self._open_again = True
            return
        with self._spool.changed:
            while self._window and self._window[0].position <= response.ack.id:
                self._window_bytes -= self._window.popleft().size
        self._spool.acknowledge(response.ack.id)

    def _sent(self, id: int) -> _Sent | None:
        """The record with this id, or that the definition with this id went out for."""
        with self._spool.changed:
            return next((sent for sent in self._window if 0 <= sent.position - id <= 2), None)


def _names_run(field: str) -> bool:
    """Whether a refusal says that the run itself is not there."""
    return field in ("run_id", "open_run.run_id")


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
