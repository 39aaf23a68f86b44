"""The cross-origin check: a web page of another site must not write here.

A browser sends a page's simple requests without asking, and names the page's origin in them. An origin
is trusted when it is this machine, the very host that is asked, or was configured.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

REFUSAL = "Cross-origin request blocked"
_WRITES = ("POST", "PUT", "PATCH", "DELETE")
_LOOPBACK = r"https?://(localhost|127\.0\.0\.1|\[::1\])(:[0-9]+)?"


class OriginCheck:
    """ASGI middleware: the check, and the answers to browsers that ask before they send."""

    def __init__(self, app: ASGIApp, origins: Sequence[str] = ()) -> None:
        """origins: trusted besides loopback (`https://rekam.example`); `*` trusts all."""
        self._app = app
        self._origins = origins
        self._with_cors = CORSMiddleware(
            app,
            allow_origins=origins,
            allow_origin_regex=_LOOPBACK,
            allow_methods=["GET", *_WRITES],
            allow_headers=["*"],
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        if origin is None:
            await self._app(scope, receive, send)
        elif scope["method"] in _WRITES and not self._trusted(origin, headers.get("host", "")):
            await PlainTextResponse(REFUSAL, 403)(scope, receive, send)
        else:
            await self._with_cors(scope, receive, send)

    def _trusted(self, origin: str, host: str) -> bool:
        if "*" in self._origins or origin in self._origins or re.fullmatch(_LOOPBACK, origin):
            return True
        return urlsplit(origin).netloc == host != ""
