"""A real SeaweedFS for tests: own ports, own folder, killable and restartable."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from rekam_local.child import Command
from rekam_local.ports import PortBlock
from rekam_local.seaweed import BUCKET, Seaweed
from rekam_runtime.blobs.settings import S3Settings
from rekam_runtime.settings import Secret


class SeaweedServer:
    """One server process; its address stays the same over `kill()` and `start()`."""

    def __init__(self, folder: Path, ports: PortBlock) -> None:
        self._seaweed = Seaweed(folder / "seaweed", ports.take, "access", "secret")
        self._command: Command = self._seaweed.command()
        self._log = folder / "seaweed.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def port(self) -> int:
        """Of its S3."""
        return urlsplit(self._seaweed.endpoint).port or 0

    @property
    def settings(self) -> S3Settings:
        return S3Settings(
            s3_endpoint=self._seaweed.endpoint,
            s3_bucket=BUCKET,
            s3_access_key=Secret(self._seaweed.access_key),
            s3_secret_key=Secret(self._seaweed.secret_key),
        )

    @property
    def environ(self) -> dict[str, str]:
        """The same, as a service's environment."""
        return {
            "REKAM_S3_ENDPOINT": self._seaweed.endpoint,
            "REKAM_S3_BUCKET": BUCKET,
            "REKAM_S3_ACCESS_KEY": self._seaweed.access_key,
            "REKAM_S3_SECRET_KEY": self._seaweed.secret_key,
        }

    def start(self) -> None:
        """Start and wait until blobs can be written."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command.argv,
                cwd=self._command.cwd,
                env=dict(self._command.env),
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and self._process.poll() is None:
            # In a thread: the caller's may have a loop running already.
            with ThreadPoolExecutor(1) as thread:
                if thread.submit(lambda: asyncio.run(_is_ready(self._command))).result():
                    return
            time.sleep(0.05)
        raise RuntimeError(f"weed did not start:\n{self._log.read_text()[-4000:]}")

    def kill(self) -> None:
        """SIGKILL: nothing is flushed or said goodbye to."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(timeout=20)
            self._process = None


async def _is_ready(command: Command) -> bool:
    return await command.ready()


@contextmanager
def running_seaweed(within: Path | None = None) -> Iterator[SeaweedServer]:
    """A started server in a folder of its own, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="rekam-seaweed-", dir=within) as folder, PortBlock() as ports:
        server = SeaweedServer(Path(folder), ports)
        server.start()
        try:
            yield server
        finally:
            server.stop()


@pytest.fixture(scope="session")
def seaweed_server() -> Iterator[SeaweedServer]:
    """One server for all tests of the session; tests use keys of their own and never kill it."""
    with running_seaweed() as server:
        yield server


@pytest.fixture
def mortal_seaweed_server() -> Iterator[SeaweedServer]:
    """A server of the test's own, for tests that kill it."""
    with running_seaweed() as server:
        yield server
