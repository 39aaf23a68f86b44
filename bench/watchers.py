"""Many watchers in one process that take next to nothing of the machine, so that not they are measured.

    python -m bench.watchers --grpc HOST:PORT --name MODEL --watchers 1000

Each has a connection and a call of its own, as processes have; what arrives is read from the socket, and
of HTTP/2 only what a call needs is spoken. Prints `ready` when all have the snapshot. Then for each change
one JSON line: when the last of them had it, and the CPU time that this process has used so far.
"""

from __future__ import annotations

import json
import selectors
import socket
import struct
import time

import click

from rekam_proto.registry.v1 import watch_pb2

_METHOD = "/rekam_proto.registry.v1.WatchService/Watch"
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _SETTINGS, _PING, _WINDOW_UPDATE = 0, 1, 4, 6, 8
_SPOKEN = frozenset({_DATA, _HEADERS, _SETTINGS, _PING, _WINDOW_UPDATE})
_ACK = _END_STREAM = 1
_END_HEADERS = 4
_INITIAL_WINDOW_SIZE = 4
_WINDOW = 2**31 - 1
_HEADER_BYTES = 9
_PREFIX_BYTES = 5


class Watcher:
    """One call on one connection. position: of the last change; ready: the snapshot has ended."""

    def __init__(self, host: str, port: int, request: bytes) -> None:
        self.position = 0
        self.ready = False
        self._frames = b""
        self._messages = b""
        self.socket = socket.create_connection((host, port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        window = struct.pack(">HI", _INITIAL_WINDOW_SIZE, _WINDOW)
        headers = {
            ":method": "POST",
            ":scheme": "http",
            ":path": _METHOD,
            ":authority": f"{host}:{port}",
            "content-type": "application/grpc",
            "te": "trailers",
        }
        self.socket.sendall(
            _PREFACE
            + _frame(_SETTINGS, 0, 0, window)
            + _frame(_WINDOW_UPDATE, 0, 0, struct.pack(">I", _WINDOW - 65_535))
            + _frame(_HEADERS, _END_HEADERS, 1, b"".join(_literal(*pair) for pair in headers.items()))
            + _frame(_DATA, _END_STREAM, 1, struct.pack(">BI", 0, len(request)) + request)
        )

    def read(self) -> list[int]:
        """Take what has arrived; answers the positions of changes."""
        received = self.socket.recv(65_536)
        if not received:
            raise click.ClickException("the server has closed a connection")
        frames = self._frames + received
        start = 0
        while len(frames) - start >= _HEADER_BYTES:
            length = int.from_bytes(frames[start : start + 3], "big")
            end = start + _HEADER_BYTES + length
            if len(frames) < end:
                break
            self._take(frames[start + 3], frames[start + 4], frames[start + _HEADER_BYTES : end])
            start = end
        self._frames = frames[start:]
        return self._changes()

    def _take(self, kind: int, flags: int, payload: bytes) -> None:
        if kind == _DATA:
            self._messages += payload
        elif kind in (_SETTINGS, _PING) and not flags & _ACK:
            self.socket.sendall(_frame(kind, _ACK, 0, payload if kind == _PING else b""))
        elif kind not in _SPOKEN or (kind == _HEADERS and flags & _END_STREAM):
            raise click.ClickException(f"the call has ended: frame {kind}, {payload!r}")

    def _changes(self) -> list[int]:
        found: list[int] = []
        messages, start = self._messages, 0
        while len(messages) - start >= _PREFIX_BYTES:
            begin = start + _PREFIX_BYTES
            end = begin + int.from_bytes(messages[start + 1 : begin], "big")
            if len(messages) < end:
                break
            response = watch_pb2.WatchResponse.FromString(messages[begin:end])
            start = end
            if response.HasField("change"):
                if response.position <= self.position:
                    raise click.ClickException(f"{response.position} was told after {self.position}")
                self.position = response.position
                found.append(response.position)
            self.ready = self.ready or response.HasField("snapshot_end")
        self._messages = messages[start:]
        return found


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def _literal(name: str, value: str) -> bytes:
    """A header, written out: it is in no table."""
    return b"\0" + b"".join(bytes([len(part)]) + part.encode() for part in (name, value))


@click.command(help=__doc__)
@click.option("--grpc", "target", required=True)
@click.option("--name", required=True)
@click.option("--watchers", "count", default=1_000)
def main(target: str, name: str, count: int) -> None:
    host, _, port = target.rpartition(":")
    request = watch_pb2.WatchRequest(names=[name], heartbeat_ms=60_000).SerializeToString()
    selector = selectors.DefaultSelector()
    watchers = []
    for _ in range(count):
        watcher = Watcher(host, int(port), request)
        selector.register(watcher.socket, selectors.EVENT_READ, watcher)
        watchers.append(watcher)
    told: dict[int, int] = {}
    waiting = count
    while True:
        for key, _ in selector.select():
            watcher = key.data
            was_ready = watcher.ready
            for position in watcher.read():
                told[position] = told.get(position, 0) + 1
                if told[position] == count:
                    line = {"position": position, "at": time.monotonic(), "cpu_s": time.process_time()}
                    click.echo(json.dumps(line))
                    del told[position]
            if watcher.ready and not was_ready:
                waiting -= 1
                if not waiting:
                    click.echo("ready")


if __name__ == "__main__":
    main()
