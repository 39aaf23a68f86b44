"""NATS with JetStream: the event log."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from rekam_local.child import Command
from rekam_local.directory import write_private
from rekam_local.ports import LOOPBACK
from rekam_local.programs import beside_python

USER = "rekam"


class Nats:
    """Its configuration file, command and address."""

    def __init__(self, directory: Path, port: int, password: str) -> None:
        self._directory = directory
        self._port = port
        self._password = password

    @property
    def url(self) -> str:
        return f"nats://{USER}:{self._password}@{LOOPBACK}:{self._port}"

    def command(self) -> Command:
        self._directory.mkdir(mode=0o700, exist_ok=True)
        write_private(self._directory / "nats.conf", self._configuration())
        return Command(
            name="nats",
            argv=(beside_python("nats-server"), "--config", "nats.conf"),
            cwd=self._directory,
            # The limit is of the heap: Go collects harder near it instead of growing on.
            env={"PATH": "/usr/bin:/bin", "HOME": str(self._directory), "GOMEMLIMIT": "200MiB"},
            ready=self._ready,
        )

    def _configuration(self) -> str:
        # JSON is valid NATS configuration, and quotes every path right.
        settings = {
            "server_name": "rekam-local",
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
