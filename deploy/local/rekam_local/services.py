"""Rekam's own processes: their commands, environment and readiness.

Services are started as programs (`python -m rekam_tracking serve`), never imported.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
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
# Settings that may be given to a stack through the environment of `rekam up`.
_PASSED_ON = (
    "REKAM_CRASHED_AFTER_S",
    "REKAM_ARTIFACTS_GRACE_S",
    "REKAM_ARTIFACTS_COLLECT_EVERY_S",
    "REKAM_ARTIFACTS_SWEEP_EVERY_S",
    "REKAM_WEBHOOK_ATTEMPTS",
    "REKAM_WEBHOOK_FIRST_PAUSE_S",
    "REKAM_WEBHOOK_LONGEST_PAUSE_S",
    "REKAM_WEBHOOK_TIMEOUT_S",
)
# The archive has a segment in memory for a moment, tens of megabytes in few blocks: those go back.
_FEW_LARGE_BLOCKS = {name: str(1024 * 1024) for name in _MALLOC if name != "MALLOC_ARENA_MAX"}
# Services that own a database; its name and its role's are the same.
DATABASES = ("tracking", "artifacts", "registry")


@dataclass(frozen=True, slots=True)
class Listen:
    """An address the user gave."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def is_loopback(self) -> bool:
        """Whether this machine alone gets there."""
        return self.host in ("127.0.0.1", "localhost", "::1")

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
    webhook_key: str
    control_target: str
    http: Listen
    grpc: Listen


@dataclass(frozen=True, slots=True)
class Scale:
    """How many there are of what can be more than one.

    replicas: gateways, tracking serve and tracking project, each.
    nats_nodes: servers of the log; every stream has a copy on each.
    """

    shards: int = 1
    replicas: int = 1
    nats_nodes: int = 1


def replica_names(name: str, count: int) -> list[str]:
    """`gateway`, `gateway-2`, ..."""
    return [name, *(f"{name}-{number}" for number in range(2, count + 1))]


def services(addresses: Addresses, scale: Scale, take_port: Callable[[], int]) -> list[Service]:
    """Every process, in the order in which they are asked to stop."""
    common = {
        **_MALLOC,
        "REKAM_LOCAL": "1",
        "REKAM_NATS_URL": addresses.nats_url,
        "REKAM_POINTS_SHARDS": str(scale.shards),
        "REKAM_STREAM_REPLICAS": str(scale.nats_nodes),
        "REKAM_LOG_FORMAT": "json",
        "REKAM_LOG_LEVEL": os.environ.get("REKAM_LOG_LEVEL", "info"),
        **{name: os.environ[name] for name in _PASSED_ON if name in os.environ},
    }

    def of(name: str, package: str, role: str, count: int, *needs: str, **env: str) -> list[Service]:
        found = []
        for each in replica_names(name, count):
            grpc, ops = Listen(LOOPBACK, take_port()), Listen(LOOPBACK, take_port())
            own = {"REKAM_GRPC_LISTEN": str(grpc), "REKAM_OPS_LISTEN": str(ops)}
            found.append(Service(each, package, role, ops, needs, {**common, **own, **env}))
        return found

    def owner(name: str, database: str, role: str, count: int, **env: str) -> list[Service]:
        url = addresses.postgres_urls[database]
        return of(name, f"rekam_{database}", role, count, "nats", database, REKAM_POSTGRES_URL=url, **env)

    serve = owner("tracking-serve", "tracking", "serve", scale.replicas)
    project = owner("tracking-project", "tracking", "project", scale.replicas, **addresses.s3)
    s3 = dict(addresses.s3)
    if addresses.http.is_loopback():
        # Whoever reaches the gateway reaches S3 then: both are on this machine alone.
        s3["REKAM_S3_PUBLIC_ENDPOINT"] = s3["REKAM_S3_ENDPOINT"]
    artifacts = owner("artifacts-serve", "artifacts", "serve", 1, **s3)
    artifacts_project = owner("artifacts-project", "artifacts", "project", 1, **addresses.s3)
    # Receivers are programs on this machine, too.
    webhooks = {"REKAM_WEBHOOK_KEYS": addresses.webhook_key, "REKAM_WEBHOOK_PRIVATE": "1"}
    registry = owner("registry-serve", "registry", "serve", 1, **webhooks)
    registry_project = owner("registry-project", "registry", "project", 1, **addresses.s3, **webhooks)
    archive = of(
        "archive", "rekam_archive", "archive", 1, "nats", "seaweed", **addresses.s3, **_FEW_LARGE_BLOCKS
    )
    gateways = of(
        "gateway",
        "rekam_gateway",
        "serve",
        scale.replicas,
        "nats",
        **s3,
        REKAM_GRPC_LISTEN=str(addresses.grpc),
        REKAM_HTTP_LISTEN=str(addresses.http),
        REKAM_REUSE_PORT=str(scale.replicas > 1),
        REKAM_TRACKING_TARGET=_target(serve),
        REKAM_ARTIFACTS_TARGET=_target(artifacts),
        REKAM_REGISTRY_TARGET=_target(registry),
        REKAM_ARCHIVE_TARGET=_target(archive),
        REKAM_LOCAL_CONTROL_TARGET=addresses.control_target,
    )
    return [
        *gateways,
        *serve,
        *project,
        *artifacts,
        *artifacts_project,
        *registry,
        *registry_project,
        *archive,
    ]


def _target(replicas: list[Service]) -> str:
    """All of them, in turn."""
    return "ipv4:" + ",".join(service.env["REKAM_GRPC_LISTEN"] for service in replicas)
