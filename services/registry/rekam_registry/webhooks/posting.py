"""Requests to receivers: to checked addresses only, never redirected, bounded in time and size."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from types import TracebackType
from urllib.parse import urlsplit

import aiohttp

from rekam_registry.webhooks.hosts import AddressRefused, Resolver
from rekam_runtime.errors import Invalid, Retry

# Of an answer's body.
MAX_BODY = 64 * 1024
# Connections at one time; who comes later waits in line.
_MOST_CONNECTIONS = 256
_CHECK_S = 10.0


@dataclass(frozen=True, slots=True)
class Answer:
    """retry_after_s: what the receiver asks for; 0: nothing."""

    status: int
    body: str = ""
    retry_after_s: float = 0.0

    @property
    def success(self) -> bool:
        return 200 <= self.status < 300


class Unanswered(Retry):
    """No answer came: refused, too slow, or not to be connected to."""


class Poster:
    """One for a process. private: addresses that are not public will do."""

    def __init__(self, *, private: bool, timeout_s: float) -> None:
        self._resolver = Resolver(private=private)
        self._timeout_s = timeout_s
        self._room = asyncio.Semaphore(_MOST_CONNECTIONS)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                resolver=self._resolver,
                socket_factory=self._resolver.open_socket,
                use_dns_cache=False,
                force_close=True,
                limit=0,
            ),
            timeout=aiohttp.ClientTimeout(total=timeout_s),
            # A proxy would connect to what it likes.
            trust_env=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            # Nothing that is small on its way and large here.
            auto_decompress=False,
            headers={"User-Agent": "rekam", "Accept-Encoding": "identity"},
        )

    async def __aenter__(self) -> Poster:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._session.close()

    async def check(self, url: str) -> None:
        """Whether all addresses of a URL's host may be connected to; raises Invalid."""
        host = urlsplit(url).hostname or ""
        try:
            async with asyncio.timeout(_CHECK_S):
                await self._resolver.resolve(host)
        except AddressRefused as error:
            raise Invalid(f"Invalid webhook URL: {error}", field="url") from error
        except (OSError, UnicodeError, TimeoutError) as error:
            raise Invalid(f"Cannot resolve webhook URL hostname {host!r}: {error}", field="url") from error

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Raises Unanswered."""
        try:
            async with (
                self._room,
                self._session.post(url, data=body, headers=headers, allow_redirects=False) as response,
            ):
                read = b""
                # Its status is known: what becomes of the rest changes nothing.
                with suppress(aiohttp.ClientError, OSError, TimeoutError):
                    read = await _first(response.content, MAX_BODY)
                return Answer(
                    response.status,
                    read.decode("utf-8", "replace"),
                    retry_after_s(response.headers.get("Retry-After", ""), time.time()),
                )
        except TimeoutError as error:
            raise Unanswered(f"no answer within {self._timeout_s:g} s") from error
        except aiohttp.ClientConnectorError as error:
            raise Unanswered(f"no connection: {_shown(error.os_error)}") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise Unanswered(f"{type(error).__name__}: {_shown(error)}") from error


def _shown(error: Exception) -> str:
    """Its text, which may have in it what the receiver sent."""
    return str(error).encode("ascii", "backslashreplace").decode().replace("\0", "\\0")[:500]


def retry_after_s(text: str, now: float) -> float:
    """What the header says, in seconds from now; 0 when it says nothing that can be read."""
    if text.isascii() and text.isdigit() and len(text) < 10:
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now)
    except (ValueError, TypeError, OverflowError):
        return 0.0


async def _first(content: aiohttp.StreamReader, limit: int) -> bytes:
    read = bytearray()
    while len(read) < limit and (chunk := await content.read(limit - len(read))):
        read += chunk
    return bytes(read)
