"""The artifacts and registry services as processes, on a real NATS and a real Postgres."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import grpc
import httpx
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from rekam_runtime.eventlog.jetstream import JetStreamLog
from tests.support.nats import NatsServer

SERVICES = ("registry",)
SHARED = ["0001_webhook_deliveries.sql", "0002_webhook_set_aside.sql"]
MIGRATIONS = [
    "0001_projection.sql",
    "0002_quarantine_decisions.sql",
    "0001_stream.sql",
    "0002_registry.sql",
    "0003_webhooks.sql",
    "0004_searching.sql",
]


def environment(database_url: str, nats: NatsServer) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("REKAM_")}
    return {
        **kept,
        "REKAM_NATS_URL": nats.url,
        "REKAM_POSTGRES_URL": database_url,
        "REKAM_GRPC_LISTEN": "127.0.0.1:0",
        "REKAM_OPS_LISTEN": "127.0.0.1:0",
        "REKAM_LOCAL": "1",
    }


def migrate(service: str, env: dict[str, str]) -> list[str]:
    """Names of the migrations that the role says it applied."""
    command = [sys.executable, "-m", f"rekam_{service}", "migrate"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=True)
    return list(json.loads(done.stderr.splitlines()[-1])["applied"])


class Served:
    """A running serve role; its log's first line says the ports."""

    def __init__(self, service: str, env: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", f"rekam_{service}", "serve"], env=env, stderr=subprocess.PIPE, text=True
        )
        assert self.process.stderr is not None
        first = json.loads(self.process.stderr.readline())
        assert first["event"] == "serving", first
        self.grpc = f"127.0.0.1:{first['grpc_port']}"
        self.ops = f"http://127.0.0.1:{first['ops_port']}"
        # A pipe that nobody empties would stop the process.
        threading.Thread(target=self.process.stderr.read, daemon=True).start()

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=30)


@pytest.fixture(params=SERVICES)
def service(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def env(database_url: str, nats_server: NatsServer) -> dict[str, str]:
    return environment(database_url, nats_server)


@pytest.fixture
def served(service: str, env: dict[str, str]) -> Iterator[Served]:
    migrate(service, env)
    running = Served(service, env)
    yield running
    running.process.kill()
    running.process.wait()


def test_it_serves_and_ends(service: str, served: Served, nats_server: NatsServer) -> None:
    with grpc.insecure_channel(served.grpc) as channel:
        health: Any = health_pb2_grpc.HealthStub(channel)
        answer = health.Check(health_pb2.HealthCheckRequest(), timeout=10)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING
    assert httpx.get(f"{served.ops}/health", trust_env=False).text == "OK"
    assert httpx.get(f"{served.ops}/ready", trust_env=False).json() == {"ready": True, "missing": []}
    assert httpx.post(f"{served.ops}/reset", trust_env=False).status_code == 200
    assert asyncio.run(last_position(nats_server.url, f"REKAM_{service.upper()}")) == 0
    assert served.end() == 0


async def last_position(url: str, stream: str) -> int:
    log = await JetStreamLog.connect(url, "test")
    try:
        return await log.last_position(stream)
    finally:
        await log.close()


def test_migrating_again_changes_nothing(service: str, env: dict[str, str]) -> None:
    assert migrate(service, env) == MIGRATIONS
    assert migrate(service, env) == []


def test_without_its_tables_it_is_not_ready(service: str, env: dict[str, str]) -> None:
    running = Served(service, env)
    answer = httpx.get(f"{running.ops}/ready", trust_env=False)
    assert (answer.status_code, answer.json()["missing"]) == (
        503,
        [f"the database lacks {', '.join([*SHARED, *MIGRATIONS])}"],
    )
    assert running.end() == 0


def test_help_says_the_roles(service: str) -> None:
    command = [sys.executable, "-m", f"rekam_{service}", "--help"]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout
    assert "serve" in shown and "migrate" in shown
