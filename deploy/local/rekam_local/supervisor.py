"""Starts a stack's processes in the order of their needs, keeps them, stops them in order."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass

from rekam_local.child import Child, Command, Say
from rekam_local.directory import Credentials, DataDirectory
from rekam_local.errors import StackError
from rekam_local.leftovers import birth_of
from rekam_local.nats import nats_servers
from rekam_local.ports import LOOPBACK, PortBlock
from rekam_local.postgres import Postgres
from rekam_local.seaweed import BUCKET, Seaweed
from rekam_local.services import DATABASES, Addresses, Listen, Scale, Service, services
from rekam_runtime.errors import RekamError
from rekam_runtime.postgres import migrate

# Together under the 10 s in which a stack stops.
_SERVICES_GRACE_S = 3.0
_PARTS_GRACE_S = 2.5
_START_S = 60.0
_TEND_EVERY_S = 2.0
_NEARLY_FULL_BYTES = 32 << 20


@dataclass(frozen=True, slots=True)
class Options:
    """What the request came to, with the directory's say: every port is one."""

    http: Listen
    grpc: Listen
    postgres_user: str
    scale: Scale


class Stack:
    """One running stack."""

    def __init__(
        self, directory: DataDirectory, credentials: Credentials, options: Options, ports: PortBlock, say: Say
    ) -> None:
        self.directory = directory
        self.options = options
        self._credentials = credentials
        self._say = say
        self._children: dict[str, Child] = {}
        self.control_target = f"{LOOPBACK}:{ports.take()}"
        nats_port = ports.take()
        self.postgres = Postgres(
            directory.path / "postgres",
            directory.logs,
            ports.take(),
            credentials.postgres_superuser,
            options.postgres_user,
        )
        self.seaweed = Seaweed(
            directory.path / "seaweed", ports.take, credentials.s3_access_key, credentials.s3_secret_key
        )
        # After the others: SeaweedFS must have the same ports however many of these there are.
        self.nats = nats_servers(
            directory.path, options.scale.nats_nodes, credentials.nats_password, nats_port, ports.take
        )
        self.services = self._services(ports.take)

    @property
    def nats_url(self) -> str:
        """Every server of the log."""
        return ",".join(server.url for server in self.nats)

    def _services(self, take_port: Callable[[], int]) -> list[Service]:
        addresses = Addresses(
            nats_url=self.nats_url,
            postgres_urls={name: self._database_url(name) for name in DATABASES},
            s3={
                "REKAM_S3_ENDPOINT": self.seaweed.endpoint,
                "REKAM_S3_ACCESS_KEY": self.seaweed.access_key,
                "REKAM_S3_SECRET_KEY": self.seaweed.secret_key,
                "REKAM_S3_BUCKET": BUCKET,
            },
            webhook_key=self._credentials.webhook_key,
            control_target=self.control_target,
            http=self.options.http,
            grpc=self.options.grpc,
        )
        return services(addresses, self.options.scale, take_port)

    def _password(self, database: str) -> str:
        password: str = getattr(self._credentials, f"postgres_{database}")
        return password

    def _database_url(self, database: str) -> str:
        return self.postgres.url(database, self._password(database))

    async def start(self) -> None:
        """Start everything; returns when all of it is ready, raises when something is not."""
        try:
            async with asyncio.TaskGroup() as group:
                parts: dict[str, asyncio.Task[None]] = {}
                parts["nats"] = group.create_task(self._nats())
                parts["seaweed"] = group.create_task(self._part(self.seaweed.command()))
                parts["postgres"] = group.create_task(self._postgres())
                for name in DATABASES:
                    parts[name] = group.create_task(self._migrate(name, parts["postgres"]))
                for service in self.services:
                    needs = [parts[need] for need in service.needs]
                    group.create_task(self._part(service.command(self.directory.path), *needs))
        except* (StackError, RekamError) as errors:
            raise StackError(str(first_of(errors))) from errors

    async def _part(self, command: Command, *needs: asyncio.Task[None]) -> None:
        for need in needs:
            await need
        began = time.monotonic()
        child = Child(command, self.directory.logs, self._say, self._note)
        self._children[command.name] = child
        await child.start(_START_S)
        self._say(f"{command.name} is ready after {time.monotonic() - began:.1f} s")

    async def _nats(self) -> None:
        async with asyncio.TaskGroup() as group:
            for server in self.nats:
                group.create_task(self._part(server.command()))

    async def _postgres(self) -> None:
        await self.postgres.prepare()
        await self._part(self.postgres.command())
        await self.postgres.ensure_databases({name: self._password(name) for name in DATABASES})

    async def _migrate(self, name: str, postgres: asyncio.Task[None]) -> None:
        # Here and not by `python -m rekam_<name> migrate`: three interpreters less to start.
        await postgres
        applied = await migrate(self._database_url(name), f"rekam_{name}")
        if applied:
            self._say(f"{name}: applied {', '.join(applied)}")

    async def stop(self) -> None:
        """Stop everything: first who takes requests, then the services, then the parts."""
        names = [service.name for service in self.services]
        await self._stop(names, _SERVICES_GRACE_S)
        await self._stop([name for name in self._children if name not in names], _PARTS_GRACE_S)
        self.directory.drop_state()

    async def _stop(self, names: list[str], grace_s: float) -> None:
        children = [self._children[name] for name in names if name in self._children]
        for child in children:
            child.ask_to_stop()
        await asyncio.gather(*(child.stopped(grace_s) for child in children))

    def kill(self) -> None:
        """Kill everything at once; stop() then only waits for the ends."""
        for child in self._children.values():
            child.kill()

    async def tend(self) -> None:
        """Look after the disk and the processes; runs until cancelled."""
        full = False
        while True:
            await asyncio.sleep(_TEND_EVERY_S)
            free = shutil.disk_usage(self.directory.path).free
            if free < _NEARLY_FULL_BYTES and not full:
                self._say(
                    f"the disk of {self.directory.path} is full ({free / 1e6:.0f} MB are left): "
                    "clients keep what they log until there is room"
                )
            full = free < _NEARLY_FULL_BYTES
            for child in self.children():
                await child.tend()

    def children(self) -> list[Child]:
        """The processes, in the order in which they were started."""
        return list(self._children.values())

    def _note(self) -> None:
        """Note addresses and processes, for `status`, `reset` and whoever cleans up after a kill."""
        running = [(child.name, child.pid) for child in self.children()]
        state = {
            "pid": os.getpid(),
            "http": f"http://{self.options.http}",
            "grpc": str(self.options.grpc),
            "control": self.control_target,
            "processes": [
                {"name": name, "pid": pid, "born": birth_of(pid)} for name, pid in running if pid is not None
            ],
        }
        try:
            self.directory.write_state(state)
        except OSError as error:
            self._say(f"state.json cannot be written: {error}")


def first_of(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first error of a group, without the groups around it."""
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
