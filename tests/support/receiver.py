"""A receiver of webhooks: a real HTTP server that keeps what it was sent, and answers as it is told."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Received:
    """One request."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def told(self) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(self.body)
        return value

    @property
    def data(self) -> dict[str, Any]:
        value: dict[str, Any] = self.told["data"]
        return value

    @property
    def event(self) -> str:
        return f"{self.told['entity']}.{self.told['action']}"

    @property
    def delivery_id(self) -> str:
        return self.headers["x-mlflow-delivery-id"]

    def signed_with(self, secret: str) -> bool:
        """As a receiver checks it, by other code than the sender's."""
        stamp = self.headers["x-mlflow-timestamp"]
        signed = b".".join([self.delivery_id.encode(), stamp.encode(), self.body])
        expected = base64.b64encode(hmac.new(secret.encode(), signed, hashlib.sha256).digest()).decode()
        return hmac.compare_digest(self.headers.get("x-mlflow-signature", ""), f"v1,{expected}")


@dataclass(frozen=True)
class Reply:
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b"ok"


OK = Reply()


class Receiver:
    """reply: answers a request; called in a thread of its own, where it may wait."""

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self.url = f"http://127.0.0.1:{server.server_address[1]}/hook"
        self.reply: Callable[[Received], Reply] = lambda received: OK
        self._lock = threading.Lock()
        self._received: list[Received] = []
        # Those that were answered with success, in the order in which they were.
        self._taken: list[Received] = []

    @property
    def received(self) -> list[Received]:
        with self._lock:
            return list(self._received)

    @property
    def taken(self) -> list[Received]:
        with self._lock:
            return list(self._taken)

    def handle(self, received: Received) -> Reply:
        with self._lock:
            self._received.append(received)
        reply = self.reply(received)
        if reply.status < 300:
            with self._lock:
                self._taken.append(received)
        return reply


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Somebody who did not wait for the answer."""


@contextmanager
def receiving(port: int = 0) -> Iterator[Receiver]:
    """port: 0: any that is free."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            reply = receiver.handle(Received(self.path, headers, body))
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)

        def log_message(self, format: str, *args: object) -> None:
            """Tests say themselves what they miss."""

    server = _Server(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    receiver = Receiver(server)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
