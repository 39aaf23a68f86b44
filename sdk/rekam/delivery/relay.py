"""gRPC for forked children: calls are made by a process of their own, reached through pipes.

gRPC's threads and locks do not survive a fork: a channel opened in the child of a process
that has used gRPC may hang for ever. A fresh interpreter has no such past.

`RelayChannel` answers like a grpc.Channel, as far as the SDK uses one.
"""

from __future__ import annotations

import os
import queue
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from enum import IntEnum
from typing import IO, Any

import grpc

# Length of the payload, what it is, which call it belongs to.
HEADER = struct.Struct("<IBI")
CODES = {code.value[0]: code for code in grpc.StatusCode}
DETAILS_KEY = "grpc-status-details-bin"
# Messages of one call, in one direction, that were sent and not taken yet.
WINDOW = 16


class Frame(IntEnum):
    """What goes through the pipes."""

    OPEN = 1  # f64 seconds until the deadline (infinity: none), then the method's path
    DATA = 2  # a message, either way
    HALF_CLOSE = 3  # no more requests
    CANCEL = 4
    END = 5  # u32 status code, u32 length of the text, the text, the status' details
    TAKEN = 6  # a message of the other side is out of its queue: there is room for one more


def write_frame(stream: IO[bytes], kind: Frame, call: int, *payload: bytes) -> None:
    """Write one frame; the caller holds the stream's lock."""
    size = sum(map(len, payload))
    stream.write(b"".join((HEADER.pack(size, kind, call), *payload)))
    stream.flush()


def read_frame(stream: IO[bytes]) -> tuple[Frame, int, bytes] | None:
    """Read one frame; None at the end."""
    head = stream.read(HEADER.size)
    if len(head) < HEADER.size:
        return None
    size, kind, call = HEADER.unpack(head)
    payload = stream.read(size)
    return (Frame(kind), call, payload) if len(payload) == size else None


class RelayError(grpc.RpcError):
    """How a relayed call failed; answers like gRPC's own error."""

    def __init__(self, code: grpc.StatusCode, text: str, details: bytes = b"") -> None:
        super().__init__(f"{code.name}: {text}")
        self._code, self._text, self._details = code, text, details

    def code(self) -> grpc.StatusCode:
        """The status."""
        return self._code

    def details(self) -> str:
        """The status' text."""
        return self._text

    def trailing_metadata(self) -> Any:
        """The status' details, as gRPC carries them."""
        return ((DETAILS_KEY, self._details),) if self._details else ()


class _Call:
    """A call on its way; iterating gives the answers."""

    def __init__(self, relay: _Relay, number: int, deserialize: Callable[[bytes], Any]) -> None:
        self._relay = relay
        self._number = number
        self._deserialize = deserialize
        self.answers: queue.SimpleQueue[bytes | RelayError | None] = queue.SimpleQueue()
        self.ended = False
        self._room = threading.Semaphore(WINDOW)

    def __iter__(self) -> Iterator[Any]:
        while (answer := self.answers.get()) is not None:
            if isinstance(answer, RelayError):
                raise answer
            self._relay.send(Frame.TAKEN, self._number)
            yield self._deserialize(answer)

    def cancel(self) -> None:
        """End the call."""
        self._relay.send(Frame.CANCEL, self._number)
        self.end(RelayError(grpc.StatusCode.CANCELLED, "cancelled"))

    def end(self, error: RelayError | None) -> None:
        """No more answers come, and requests go nowhere."""
        self.ended = True
        self.answers.put(error)
        self.taken()

    def taken(self) -> None:
        """There is room for one more request."""
        self._room.release()

    def send_all(self, requests: Iterable[Any], serialize: Callable[[Any], bytes] | None) -> None:
        """Send the requests, in the calling thread."""
        for request in requests:
            self._room.acquire()
            if self.ended:
                # Whoever waits for room after this one is to see it, too.
                self._room.release()
                return
            if not self._relay.send(Frame.DATA, self._number, serialize(request) if serialize else request):
                return
        self._relay.send(Frame.HALF_CLOSE, self._number)


class _Relay:
    """The process, and the calls that go through it."""

    def __init__(self, target: str) -> None:
        self._lock = threading.Lock()
        self._calls: dict[int, _Call] = {}
        self._numbers = 0
        self.alive = True
        self._process = subprocess.Popen(
            [sys.executable, "-m", "rekam.delivery.relay_process", target],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            # An interrupt at the terminal is the program's business.
            start_new_session=True,
        )
        threading.Thread(target=self._receive, name="rekam-relay", daemon=True).start()

    def open(self, path: str, timeout: float | None, deserialize: Callable[[bytes], Any]) -> _Call:
        """Begin a call."""
        with self._lock:
            self._numbers += 1
            call = _Call(self, self._numbers, deserialize)
            self._calls[self._numbers] = call
        seconds = struct.pack("<d", float("inf") if timeout is None else timeout)
        if not self.send(Frame.OPEN, call._number, seconds, path.encode()):
            call.end(RelayError(grpc.StatusCode.UNAVAILABLE, "the relay process ended"))
        return call

    def send(self, kind: Frame, call: int, *payload: bytes) -> bool:
        """Whether the process took the frame."""
        assert self._process.stdin is not None
        try:
            with self._lock:
                write_frame(self._process.stdin, kind, call, *payload)
        except (OSError, ValueError):
            self.alive = False
        return self.alive

    def _receive(self) -> None:
        assert self._process.stdout is not None
        while (frame := read_frame(self._process.stdout)) is not None:
            kind, number, payload = frame
            call = self._calls.get(number)
            if kind is Frame.END:
                self._calls.pop(number, None)
            if call is None:
                continue
            if kind is Frame.END:
                call.end(_end(payload))
            elif kind is Frame.TAKEN:
                call.taken()
            else:
                call.answers.put(payload)
        self.alive = False
        self._process.wait()
        for call in list(self._calls.values()):
            call.end(RelayError(grpc.StatusCode.UNAVAILABLE, "the relay process ended"))


def _end(payload: bytes) -> RelayError | None:
    number, length = struct.unpack_from("<II", payload)
    if CODES[number] is grpc.StatusCode.OK:
        return None
    text = payload[8 : 8 + length].decode(errors="replace")
    return RelayError(CODES[number], text, payload[8 + length :])


_relays: dict[tuple[int, str], _Relay] = {}
_lock = threading.Lock()


def _relay_for(target: str) -> _Relay:
    """This process' relay to host:port, started when there is none."""
    with _lock:
        relay = _relays.get((os.getpid(), target))
        if relay is None or not relay.alive:
            relay = _relays[os.getpid(), target] = _Relay(target)
        return relay


class RelayChannel:
    """A channel to host:port through the relay process."""

    def __init__(self, target: str) -> None:
        self._target = target

    def __enter__(self) -> RelayChannel:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Nothing: calls are cancelled one by one, the process serves all channels."""

    def stream_stream(
        self,
        path: str,
        request_serializer: Callable[[Any], bytes] | None = None,
        response_deserializer: Callable[[bytes], Any] | None = None,
        **_: object,
    ) -> Callable[..., Any]:
        """A method that takes requests as they come and answers likewise."""

        def method(requests: Iterable[Any], timeout: float | None = None) -> _Call:
            call = _relay_for(self._target).open(path, timeout, response_deserializer or bytes)
            send = threading.Thread(target=call.send_all, args=(requests, request_serializer), daemon=True)
            send.start()
            return call

        return method

    def unary_stream(
        self,
        path: str,
        request_serializer: Callable[[Any], bytes] | None = None,
        response_deserializer: Callable[[bytes], Any] | None = None,
        **_: object,
    ) -> Callable[..., Any]:
        """A method that takes one request and streams answers."""

        def method(request: Any, timeout: float | None = None) -> _Call:
            call = _relay_for(self._target).open(path, timeout, response_deserializer or bytes)
            call.send_all([request], request_serializer)
            return call

        return method

    def unary_unary(
        self,
        path: str,
        request_serializer: Callable[[Any], bytes] | None = None,
        response_deserializer: Callable[[bytes], Any] | None = None,
        **_: object,
    ) -> Callable[..., Any]:
        """A method that takes one request and gives one answer."""
        stream = self.unary_stream(path, request_serializer, response_deserializer)

        def method(request: Any, timeout: float | None = None) -> Any:
            return _only(stream(request, timeout), path)

        return method

    def stream_unary(
        self,
        path: str,
        request_serializer: Callable[[Any], bytes] | None = None,
        response_deserializer: Callable[[bytes], Any] | None = None,
        **_: object,
    ) -> Callable[..., Any]:
        """A method that takes requests and gives one answer."""
        stream = self.stream_stream(path, request_serializer, response_deserializer)

        def method(requests: Iterable[Any], timeout: float | None = None) -> Any:
            return _only(stream(requests, timeout), path)

        return method


def _only(call: _Call, path: str) -> Any:
    answers = list(call)
    if len(answers) != 1:
        raise RelayError(grpc.StatusCode.INTERNAL, f"{len(answers)} answers to {path}")
    return answers[0]


def _renew_lock() -> None:
    global _lock
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_renew_lock)
