"""Names of receivers to addresses, each checked; the connection is made to what was checked."""

from __future__ import annotations

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor

from aiohttp.abc import AbstractResolver, ResolveResult

from rekam_registry.webhooks import addresses

# A name whose servers do not answer takes a thread for as long as the system waits.
_AT_ONCE = 64


class AddressRefused(OSError):
    """A name or an address that webhooks must not lead to."""


class Resolver(AbstractResolver):
    """Asks the system, in threads of its own: a name that is slow holds up no other work of the process."""

    def __init__(self, *, private: bool) -> None:
        """private: see `addresses`."""
        self._private = private
        self._threads = ThreadPoolExecutor(_AT_ONCE, "webhook-names")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Raises AddressRefused when any of the addresses is refused, OSError when there is none."""
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(
            self._threads, lambda: socket.getaddrinfo(host, port, family, socket.SOCK_STREAM)
        )
        for _, _, _, _, address in found:
            self._check(host, str(address[0]))
        return [
            ResolveResult(
                hostname=host,
                host=str(address[0]),
                port=port,
                family=kind,
                proto=protocol,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for kind, _, protocol, _, address in found
        ]

    def open_socket(self, found: tuple[int, int, int, str, tuple[object, ...]]) -> socket.socket:
        """For a connection to exactly this address; one that was written as such is checked here, too."""
        kind, type, protocol, _, address = found
        self._check(str(address[0]), str(address[0]))
        return socket.socket(kind, type, protocol)

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _check(self, host: str, address: str) -> None:
        if why := addresses.fault(address, private=self._private):
            raise AddressRefused(f"{host}: {why}")
