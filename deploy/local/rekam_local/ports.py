"""Ports for a stack's parts: a block of neighbours that no other stack can get.

A free port that was merely looked up can be gone when the child binds it a second
later, and two stacks that start at the same moment would look up the same ones. So a
stack takes a whole block and keeps listening on the block's first port for as long as it
lives: whoever comes next sees it taken and moves on.

Blocks end below 20000: SeaweedFS listens for gRPC on every HTTP port + 10000, which
must stay below the range that the kernel hands to outgoing connections (32768 up).
"""

from __future__ import annotations

import random
import socket
from types import TracebackType

from rekam_local.errors import StackError

LOOPBACK = "127.0.0.1"
_FIRST = 10240
_LAST = 19968
_SIZE = 64
_SEAWEED_GRPC_OFFSET = 10000


class PortBlock:
    """Consecutive free ports of the loopback interface, held by the first one."""

    def __init__(self, preferred: int | None = None) -> None:
        starts = list(range(_FIRST, _LAST, _SIZE))
        random.shuffle(starts)
        starts.sort(key=lambda start: start != preferred)
        for start in starts:
            try:
                holder = _listen(LOOPBACK, start)
            except OSError:
                continue
            rest = range(start + 1, start + _SIZE)
            if all(
                is_free(LOOPBACK, port) and is_free(LOOPBACK, port + _SEAWEED_GRPC_OFFSET) for port in rest
            ):
                self.start = start
                self._holder = holder
                self._ports = iter(rest)
                return
            holder.close()
        raise StackError(f"no {_SIZE} free ports in a row between {_FIRST} and {_LAST} on {LOOPBACK}")

    def take(self) -> int:
        """The block's next port."""
        return next(self._ports)

    def __enter__(self) -> PortBlock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._holder.close()


def is_free(host: str, port: int) -> bool:
    """Whether a server could listen there now."""
    try:
        _listen(host, port).close()
    except OSError:
        return False
    return True


def require_free(option: str, host: str, port: int) -> None:
    """Raise with the option's name when nothing can listen on the address."""
    try:
        _listen(host, port).close()
    except OSError as error:
        raise StackError(f"{option} {host}:{port} cannot be used: {error.strerror or error}") from error


def _listen(host: str, port: int) -> socket.socket:
    family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        # As servers do: connections of an earlier stack that linger do not count. Of two
        # sockets with this option one may listen, so it must listen to hold the port.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(1)
    except OSError:
        listener.close()
        raise
    return listener
