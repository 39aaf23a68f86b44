"""MLflow's own server, for developers: what it answers is what Rekam has to answer."""

from __future__ import annotations

import http.client
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rekam_local.ports import LOOPBACK, PortBlock
from tests.support.stack import until

# Webhooks may call a server of the program's own, and are called as soon as they are there.
_SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_WEBHOOK_ALLOWED_SCHEMES": "http,https",
    "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS": "true",
    "MLFLOW_WEBHOOK_CACHE_TTL": "0",
}


@contextmanager
def running_reference(program: Path, data: Path) -> Iterator[str]:
    """`mlflow server` on SQLite, empty, until the block ends; its tracking URI."""
    with PortBlock() as ports, (data / "mlflow.log").open("wb") as log:
        port = ports.take()
        place = ("--host", LOOPBACK, "--port", str(port), "--workers", "1")
        rows = ("--backend-store-uri", f"sqlite:///{data}/mlflow.db")
        files = ("--artifacts-destination", str(data / "artifacts"))
        server = subprocess.Popen(
            [program, "server", *place, *rows, *files],
            env={**os.environ, **_SETTINGS},
            cwd=data,
            stdout=log,
            stderr=log,
        )
        try:
            until("mlflow server answers", lambda: _answers(port), deadline_s=120)
            yield f"http://{LOOPBACK}:{port}"
        finally:
            server.terminate()
            server.wait(120)


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=5)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()
