"""The process behind `rekam.delivery.relay`: makes a forked child's gRPC calls until its pipe closes."""

from __future__ import annotations

import os
import queue
import struct
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import IO, Any

import grpc

from rekam.delivery.channel import open_channel
from rekam.delivery.relay import DETAILS_KEY, WINDOW, Frame, read_frame, write_frame


class _Calls:
    def __init__(self, channel: grpc.Channel, out: IO[bytes]) -> None:
        self._channel = channel
        self._out = out
        self._lock = threading.Lock()
        self._requests: dict[int, queue.SimpleQueue[bytes | None]] = {}
        self._calls: dict[int, Any] = {}
        # Answers that there is room for.
        self._rooms: dict[int, threading.Semaphore] = {}

    def take(self, kind: Frame, number: int, payload: bytes) -> None:
        if kind is Frame.OPEN:
            self._open(number, struct.unpack_from("<d", payload)[0], payload[8:].decode())
        elif kind is Frame.CANCEL:
            call = self._calls.get(number)
            if call is not None:
                call.cancel()
            self._make_room(number)
        elif kind is Frame.TAKEN:
            self._make_room(number)
        elif number in self._requests:
            self._requests[number].put(payload if kind is Frame.DATA else None)

    def _open(self, number: int, seconds: float, path: str) -> None:
        requests: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._requests[number] = requests
        self._rooms[number] = threading.Semaphore(WINDOW)
        # On the wire every kind of call looks like this one.
        method: Any = self._channel.stream_stream(path, request_serializer=None, response_deserializer=None)
        call = method(self._taken(number, requests), timeout=None if seconds == float("inf") else seconds)
        self._calls[number] = call
        threading.Thread(target=self._answer, args=(number, call), daemon=True).start()

    def _make_room(self, number: int) -> None:
        room = self._rooms.get(number)
        if room is not None:
            room.release()

    def _answer(self, number: int, call: Any) -> None:
        room = self._rooms[number]
        try:
            for answer in call:
                room.acquire()
                self._send(Frame.DATA, number, answer)
        except grpc.RpcError:
            pass  # the status says it
        text = (call.details() or "").encode()
        found = [value for key, value in call.trailing_metadata() or () if key == DETAILS_KEY]
        self._send(Frame.END, number, struct.pack("<II", call.code().value[0], len(text)), text, *found[:1])
        self._calls.pop(number, None)
        self._rooms.pop(number)
        self._requests.pop(number).put(None)

    def _send(self, kind: Frame, number: int, *payload: bytes) -> None:
        with self._lock, suppress(BrokenPipeError):  # nobody is there to be told
            write_frame(self._out, kind, number, *payload)

    def _taken(self, number: int, requests: queue.SimpleQueue[bytes | None]) -> Iterator[bytes]:
        while (request := requests.get()) is not None:
            self._send(Frame.TAKEN, number)
            yield request


def main() -> None:
    """Serve the pipes on stdin and stdout."""
    with open_channel(sys.argv[1]) as channel:
        calls = _Calls(channel, sys.stdout.buffer)
        while (frame := read_frame(sys.stdin.buffer)) is not None:
            calls.take(*frame)
        # Whoever is left in a call has nobody to answer to.
        sys.stderr.flush()
        os._exit(0)


if __name__ == "__main__":
    main()
