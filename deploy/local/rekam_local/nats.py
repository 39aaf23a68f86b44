"""NATS with JetStream: the event log, on one server or on a cluster of several."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

from rekam_local.child import Command
from rekam_local.directory import write_private
from rekam_local.ports import LOOPBACK
from rekam_local.programs import beside_python
from rekam_local.services import replica_names

USER = "rekam"


class Nats:
    """One server: its configuration file, command and address."""

    def __init__(self, name: str, directory: Path, port: int, password: str) -> None:
        self.name = name
        self._directory = directory
        self._port = port
        self._password = password
        self._cluster: dict[str, object] = {}

    @property
    def url(self) -> str:
        return self._url(self._port)

    def _url(self, port: int) -> str:
        return f"nats://{USER}:{self._password}@{LOOPBACK}:{port}"

    def join(self, port: int, others: list[int]) -> None:
        """Be a node of a cluster, with a port for its routes, beside nodes with these."""
        self._cluster = {
            "name": "rekam-local",
            "listen": f"{LOOPBACK}:{port}",
            "authorization": {"user": USER, "password": self._password},
            "routes": [self._url(other) for other in others],
            # Clients are given every address; they need not hear of them.
            "no_advertise": True,
            # A node that stands still is noticed within 3 s, not 90.
            "ping_interval": "1s",
            "ping_max": 2,
        }

    def command(self) -> Command:
        self._directory.mkdir(mode=0o700, exist_ok=True)
        write_private(self._directory / "nats.conf", self._configuration())
        return Command(
            name=self.name,
            argv=(beside_python("nats-server"), "--config", "nats.conf"),
            cwd=self._directory,
            # The limit is of the heap: Go collects harder near it instead of growing on.
            env={"PATH": "/usr/bin:/bin", "HOME": str(self._directory), "GOMEMLIMIT": "200MiB"},
            ready=self._ready,
        )

    def _configuration(self) -> str:
        # JSON is valid NATS configuration, and quotes every path right.
        settings: dict[str, object] = {
            "server_name": f"rekam-local-{self.name}",
            "listen": f"{LOOPBACK}:{self._port}",
            # A batch of frames is at most 1 MB, and its envelope.
            "max_payload": 2 << 20,
            "jetstream": {
                "store_dir": str(self._directory / "jetstream"),
                # An acknowledgement means on disk; the default syncs every two minutes.
                "sync_interval": "always",
                "max_memory_store": 16 << 20,
            },
            "authorization": {"user": USER, "password": self._password},
        }
        if self._cluster:
            settings["cluster"] = self._cluster
        return json.dumps(settings, indent=1) + "\n"

    async def _ready(self) -> bool:
        # The server listens once JetStream has recovered its streams, and greets first.
        try:
            reader, writer = await asyncio.open_connection(LOOPBACK, self._port)
        except OSError:
            return False
        try:
            return (await asyncio.wait_for(reader.readline(), 2.0)).startswith(b"INFO ")
        except (OSError, TimeoutError):
            return False
        finally:
            writer.close()


def nats_servers(
    directory: Path, nodes: int, password: str, first_port: int, take_port: Callable[[], int]
) -> list[Nats]:
    """The log's servers, each with a directory of its own name; more than one are a cluster."""
    servers = [Nats("nats", directory / "nats", first_port, password)]
    servers += [
        Nats(name, directory / name, take_port(), password) for name in replica_names("nats", nodes)[1:]
    ]
    if len(servers) > 1:
        routes = [take_port() for _ in servers]
        for server, own in zip(servers, routes, strict=True):
            server.join(own, [route for route in routes if route != own])
    return servers
