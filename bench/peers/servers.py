"""The peers as processes, each with a Postgres of its own, set as the one in Rekam's stack is."""

from __future__ import annotations

import asyncio
import http.client
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

from bench.peers.environments import programs_of
from bench.peers.filling import Filling
from bench.peers.rest import RestTracker
from rekam_local.child import Command
from rekam_local.ports import LOOPBACK, PortBlock
from rekam_local.postgres import Postgres

_START_S = 120.0
_POSTGRES_USER = "nobody"
# Of a database that is reached from this machine only, and lives for some minutes.
_PASSWORD = "bench"

# Of a port, a database's URL and a folder for artifacts.
_Arguments = Callable[[int, str, Path], Sequence[str]]


@contextmanager
def running_mlflow() -> Iterator[RestTracker]:
    """`mlflow server` as it comes: four workers."""

    def command(port: int, database: str, artifacts: Path) -> Sequence[str]:
        url = database.replace("postgresql:", "postgresql+psycopg2:")
        program = str(programs_of("mlflow") / "mlflow")
        stores = ("--backend-store-uri", url, "--artifacts-destination", str(artifacts))
        return (program, "server", "--host", LOOPBACK, "--port", str(port), *stores)

    with _running("mlflow", command) as tracker:
        yield tracker


@contextmanager
def running_fasttrackml() -> Iterator[RestTracker]:
    """`fml server` as it comes."""

    def command(port: int, database: str, artifacts: Path) -> Sequence[str]:
        url = database.replace("postgresql:", "postgres:") + "?sslmode=disable"
        program = str(programs_of("fasttrackml") / "fml")
        stores = ("--database-uri", url, "--default-artifact-root", str(artifacts))
        return (program, "server", "--listen-address", f"{LOOPBACK}:{port}", *stores, "--log-level", "error")

    with _running("fasttrackml", command) as tracker:
        yield tracker


@contextmanager
def _running(name: str, command: _Arguments) -> Iterator[RestTracker]:
    with ExitStack() as ends, PortBlock() as ports:
        folder = Path(ends.enter_context(tempfile.TemporaryDirectory(prefix="rekam-bench-")))
        database = Postgres(folder / "postgres", folder, ports.take(), _PASSWORD, _POSTGRES_USER)
        asyncio.run(database.prepare())
        log = ends.enter_context((folder / "log").open("ab"))
        postgres = ends.enter_context(_postgres(database, log))
        asyncio.run(database.ensure_databases({name: _PASSWORD}))
        port, url = ports.take(), database.url(name, _PASSWORD)
        server = subprocess.Popen(
            command(port, url, folder / "artifacts"),
            stdout=log,
            stderr=log,
            cwd=folder,
            start_new_session=True,
        )
        ends.callback(_stop, server)
        _wait(lambda: _answers(port), server, folder / "log")
        tracker = RestTracker(name, LOOPBACK, port, server.pid, postgres.pid, Filling(url))
        tracker.experiment_id = tracker.create_experiment()
        yield tracker


@contextmanager
def _postgres(database: Postgres, log: IO[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    command = database.command()
    account = command.account
    process = subprocess.Popen(
        command.argv,
        cwd=command.cwd,
        env=dict(command.env),
        stdout=log,
        stderr=log,
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
    )
    try:
        _wait(lambda: asyncio.run(_ready(command)), process, Path(log.name))
        yield process
    finally:
        process.send_signal(command.stop_signal)
        process.wait(30)


async def _ready(command: Command) -> bool:
    return await command.ready()


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=5)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def _wait(ready: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_S
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"{process.args!r} did not start:\n{log.read_text(errors='replace')[-3000:]}")
        time.sleep(0.1)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Its workers end with it."""
    process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
