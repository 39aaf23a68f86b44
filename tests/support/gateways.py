"""Gateways beside those of a stack, each with addresses of its own: a test says which one answers."""

from __future__ import annotations

import http.client
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import psutil

from tests.support.faults import Faults
from tests.support.ports import free_port
from tests.support.stack import until


@dataclass(frozen=True)
class Gateway:
    """uri: of its gRPC door, as a tracking URI; http: of the other."""

    uri: str
    http: str


@contextmanager
def gateways_beside(faults: Faults, count: int, **settings: str) -> Iterator[list[Gateway]]:
    """Further gateways, made like the stack's own but for these settings."""
    environ = psutil.Process(faults.pids()["gateway"]).environ()
    with ExitStack() as parts:
        started = []
        for _ in range(count):
            grpc_port, http_port = free_port(), free_port()
            process = subprocess.Popen(
                [sys.executable, "-m", "rekam_gateway", "serve"],
                env={
                    **environ,
                    "REKAM_GRPC_LISTEN": f"127.0.0.1:{grpc_port}",
                    "REKAM_HTTP_LISTEN": f"127.0.0.1:{http_port}",
                    "REKAM_OPS_LISTEN": "",
                    "REKAM_REUSE_PORT": "false",
                    **settings,
                },
                stderr=subprocess.DEVNULL,
            )
            parts.callback(process.wait, 15)
            parts.callback(process.terminate)
            until("the gateway is ready", lambda port=http_port: answers("127.0.0.1", port, "/ready"))  # type: ignore[misc]
            started.append(Gateway(f"grpc://127.0.0.1:{grpc_port}", f"http://127.0.0.1:{http_port}"))
        yield started


def answers(host: str, port: int, path: str) -> bool:
    """Whether an HTTP door says that all is well."""
    door = http.client.HTTPConnection(host, port, timeout=30)
    try:
        door.request("GET", path)
        return door.getresponse().status == 200
    except OSError:
        return False
    finally:
        door.close()
