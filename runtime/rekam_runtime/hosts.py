"""The Host header check: a web page must not reach a local port through DNS rebinding.

Such a page makes its own DNS name point at this machine; its requests still carry that
name. So a Host must be this machine, a private address, or a name that was configured.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from functools import lru_cache

from starlette.datastructures import MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

REFUSAL = "Invalid Host header - possible DNS rebinding attack detected"
# Probes ask these by any name; they tell nothing.
_OPEN_PATHS = ("/health", "/version")
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]]+)(:[0-9]+)?")
_NETWORKS = [
    ipaddress.ip_network(network)
    for network in (
        *("127.0.0.0/8", "0.0.0.0/32", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"),
        # Pods of some clusters.
        "100.64.0.0/10",
        *("::1/128", "fc00::/7"),
    )
]


@lru_cache(maxsize=64)
def host_is_trusted(host: str, patterns: tuple[str, ...] = ()) -> bool:
    """Whether a Host header is loopback, private, or matches a pattern (`*` stands for anything)."""
    match = _HOST.fullmatch(host)
    if match is None:
        return False
    if any(fnmatchcase(text, pattern) for text in (host, match[1]) for pattern in patterns):
        return True
    name = match[1].strip("[]")
    if name.lower() == "localhost":
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    return any(address in network for network in _NETWORKS)


class HostCheck:
    """ASGI middleware: the check, and the headers that every response carries."""

    def __init__(self, app: ASGIApp, patterns: Sequence[str] = ()) -> None:
        self._app = app
        self._patterns = tuple(patterns)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["X-Content-Type-Options"] = "nosniff"
                headers["X-Frame-Options"] = "SAMEORIGIN"
            await send(message)

        host = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"host"), "")
        if scope["path"] in _OPEN_PATHS or host_is_trusted(host, self._patterns):
            await self._app(scope, receive, send_with_headers)
        else:
            await PlainTextResponse(REFUSAL, 403)(scope, receive, send_with_headers)
