"""NATS with JetStream: the event log, on one server or on a cluster of several."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from rekam_local import probe
from rekam_local.child import Command
from rekam_local.directory import write_private
from rekam_local.ports import LOOPBACK
from rekam_local.programs import beside_python
from rekam_local.services import replica_names

USER = "rekam"
# What the log leaves free on its disk, for the parts beside it: a tenth, but no more than this.
_RESERVE_BYTES = 1 << 30
# Less is no reason to start again.
_ROOM_BYTES = 32 << 20


class Nats:
    """One server: its configuration file, command and address."""

    def __init__(self, name: str, directory: Path, port: int, monitor_port: int, password: str) -> None:
        self.name = name
        self._directory = directory
        self._port = port
        self._monitor_port = monitor_port
        self._password = password
        self._cluster: dict[str, object] = {}
        self._limit = 0

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
        return Command(
            name=self.name,
            argv=(beside_python("nats-server"), "--config", "nats.conf"),
            cwd=self._directory,
            # The limit is of the heap: Go collects harder near it instead of growing on.
            env={"PATH": "/usr/bin:/bin", "HOME": str(self._directory), "GOMEMLIMIT": "200MiB"},
            ready=self._ready,
            prepare=self._configure,
            ailing=self._ailing,
        )

    def _configure(self) -> None:
        """Before each start: how large the log may become depends on the room there is now."""
        self._limit = self._room()
        write_private(self._directory / "nats.conf", self._configuration())

    def _configuration(self) -> str:
        # JSON is valid NATS configuration, and quotes every path right.
        settings: dict[str, object] = {
            "server_name": f"rekam-local-{self.name}",
            "listen": f"{LOOPBACK}:{self._port}",
            "http": f"{LOOPBACK}:{self._monitor_port}",
            # A batch of frames is at most 1 MB, and its envelope.
            "max_payload": 2 << 20,
            "jetstream": {
                "store_dir": str(self._directory / "jetstream"),
                # An acknowledgement means on disk; the default syncs every two minutes.
                "sync_interval": "always",
                "max_memory_store": 16 << 20,
                # Beyond it appends are refused, with a reason; the server's own limit is a part of
                # what is free when it starts, whatever it keeps already.
                "max_file_store": self._limit,
            },
            "authorization": {"user": USER, "password": self._password},
        }
        if self._cluster:
            settings["cluster"] = self._cluster
        return json.dumps(settings, indent=1) + "\n"

    def _room(self) -> int:
        """What the log may take of its disk, with what it has."""
        disk = shutil.disk_usage(self._directory)
        kept = sum(file.stat().st_blocks * 512 for file in self._directory.rglob("*.blk"))
        return max(_ROOM_BYTES, kept + disk.free - min(_RESERVE_BYTES, disk.total // 10))

    async def _ready(self) -> bool:
        health = await self._ask("/healthz")
        return health is not None and health.status == 200

    async def _ailing(self) -> str:
        """Why it has to start again though it lives.

        Once a write failed, on a full disk, a server does not try another one; and one that has
        reached its limit does not notice that there is more room.
        """
        room = self._room()
        health = await self._ask("/healthz")
        if health is not None and health.status == 503 and b"write error" in health.body:
            return "its disk was full and has room again" if room > _ROOM_BYTES else ""
        if room > self._limit + _ROOM_BYTES:
            figures = await self._ask("/jsz")
            if figures is not None and json.loads(figures.body)["storage"] + _ROOM_BYTES > self._limit:
                return "the log may become larger than before"
        return ""

    async def _ask(self, path: str) -> probe.Answer | None:
        return await probe.call("GET", LOOPBACK, self._monitor_port, path)


def nats_servers(
    directory: Path, nodes: int, password: str, first_port: int, take_port: Callable[[], int]
) -> list[Nats]:
    """The log's servers, each with a directory of its own name; more than one are a cluster."""
    servers = [
        Nats(name, directory / name, first_port if number == 0 else take_port(), take_port(), password)
        for number, name in enumerate(replica_names("nats", nodes))
    ]
    if len(servers) > 1:
        routes = [take_port() for _ in servers]
        for server, own in zip(servers, routes, strict=True):
            server.join(own, [route for route in routes if route != own])
    return servers
