"""Rekam's own processes: their commands, environment and readiness.

Services are started as programs (`python -m rekam_tracking serve`), never imported.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rekam_local import probe
from rekam_local.child import Command
from rekam_local.ports import LOOPBACK

# Frames and batches are allocated and freed all the time. Left to itself, glibc hands such
# blocks back to the kernel and faults them in anew: a fifth of the gateway's time.
_MALLOC = {
    "MALLOC_ARENA_MAX": "2",
    "MALLOC_MMAP_THRESHOLD_": str(64 * 1024 * 1024),
    "MALLOC_TRIM_THRESHOLD_": str(128 * 1024 * 1024),
}
# Services that own a database; its name and its role's are the same.
DATABASES = ("tracking", "artifacts", "registry")


@dataclass(frozen=True, slots=True)
class Listen:
    """An address the user gave."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def reachable(self) -> Listen:
        """An address that leads there from this machine: nobody connects to 0.0.0.0."""
        return Listen(LOOPBACK, self.port) if self.host in ("0.0.0.0", "::", "") else self  # noqa: S104


@dataclass(frozen=True, slots=True)
class Service:
    """One process.

    ops: where it answers /ready, /metrics and POST /reset.
    needs: parts that must be there before it starts.
    """

    name: str
    package: str
    role: str
    ops: Listen
    needs: tuple[str, ...]
    env: Mapping[str, str]

    def command(self, cwd: Path) -> Command:
        return Command(
            name=self.name,
            argv=(sys.executable, "-m", self.package, self.role),
            cwd=cwd,
            # What is set for this shell's other uses of Rekam is not meant for these.
            env={
                **{name: value for name, value in os.environ.items() if not name.startswith("REKAM_")},
                **self.env,
            },
            ready=partial(_is_ready, self.ops),
        )


async def _is_ready(ops: Listen) -> bool:
    answer = await probe.call("GET", ops.host, ops.port, "/ready")
    return answer is not None and answer.status == 200


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where a stack's parts are, as the services must know them."""

    nats_url: str
    postgres_urls: Mapping[str, str]
    s3: Mapping[str, str]
    control_target: str
    http: Listen
    grpc: Listen
    shards: int


def services(addresses: Addresses, ports: Mapping[str, int]) -> list[Service]:
    """Every process, in the order in which they are asked to stop."""
    common = {
        **_MALLOC,
        "REKAM_LOCAL": "1",
        "REKAM_NATS_URL": addresses.nats_url,
        "REKAM_POINTS_SHARDS": str(addresses.shards),
        "REKAM_STREAM_REPLICAS": "1",
        "REKAM_LOG_FORMAT": "json",
        "REKAM_LOG_LEVEL": os.environ.get("REKAM_LOG_LEVEL", "info"),
    }

    def service(name: str, database: str, role: str, needs: tuple[str, ...], **env: str) -> Service:
        return Service(
            name=name,
            package=f"rekam_{database}",
            role=role,
            ops=Listen(LOOPBACK, ports[f"{name}-ops"]),
            needs=needs,
            env={
                **common,
                "REKAM_POSTGRES_URL": addresses.postgres_urls[database],
                "REKAM_GRPC_LISTEN": f"{LOOPBACK}:{ports[name]}",
                "REKAM_OPS_LISTEN": f"{LOOPBACK}:{ports[f'{name}-ops']}",
                **env,
            },
        )

    return [
        Service(
            name="gateway",
            package="rekam_gateway",
            role="serve",
            # Its ops port is its HTTP port.
            ops=addresses.http.reachable(),
            needs=("nats",),
            env={
                **common,
                "REKAM_GRPC_LISTEN": str(addresses.grpc),
                "REKAM_HTTP_LISTEN": str(addresses.http),
                "REKAM_TRACKING_TARGET": f"{LOOPBACK}:{ports['tracking-serve']}",
                "REKAM_ARTIFACTS_TARGET": f"{LOOPBACK}:{ports['artifacts-serve']}",
                "REKAM_REGISTRY_TARGET": f"{LOOPBACK}:{ports['registry-serve']}",
                "REKAM_LOCAL_CONTROL_TARGET": addresses.control_target,
            },
        ),
        service("tracking-serve", "tracking", "serve", ("nats", "tracking")),
        service("tracking-project", "tracking", "project", ("nats", "tracking")),
        service("artifacts-serve", "artifacts", "serve", ("nats", "artifacts"), **addresses.s3),
        service("registry-serve", "registry", "serve", ("nats", "registry")),
    ]


SERVICE_NAMES = ("tracking-serve", "tracking-project", "artifacts-serve", "registry-serve")
