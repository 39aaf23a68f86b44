"""The registry service as it runs: both roles with their servers, on real NATS and Postgres."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc.aio
import httpx

from rekam_proto.log.v1.log_pb2_grpc import LogServiceStub
from rekam_proto.registry.v1.alias_pb2_grpc import AliasServiceStub
from rekam_proto.registry.v1.history_pb2_grpc import HistoryServiceStub
from rekam_proto.registry.v1.model_pb2_grpc import RegisteredModelServiceStub
from rekam_proto.registry.v1.resolve_pb2_grpc import ResolveServiceStub
from rekam_proto.registry.v1.transition_pb2_grpc import TransitionServiceStub
from rekam_proto.registry.v1.version_pb2_grpc import ModelVersionServiceStub
from rekam_proto.registry.v1.watch_pb2_grpc import WatchServiceStub
from rekam_registry import server
from rekam_registry.settings import ProjectSettings, ServeSettings
from rekam_runtime.roles import MigrateSettings
from rekam_runtime.rpc.client import channel
from rekam_runtime.settings import load
from tests.support.ports import free_port

if TYPE_CHECKING:
    from rekam_proto.log.v1.log_pb2_grpc import LogServiceAsyncStub
    from rekam_proto.registry.v1.alias_pb2_grpc import AliasServiceAsyncStub
    from rekam_proto.registry.v1.history_pb2_grpc import HistoryServiceAsyncStub
    from rekam_proto.registry.v1.model_pb2_grpc import RegisteredModelServiceAsyncStub
    from rekam_proto.registry.v1.resolve_pb2_grpc import ResolveServiceAsyncStub
    from rekam_proto.registry.v1.transition_pb2_grpc import TransitionServiceAsyncStub
    from rekam_proto.registry.v1.version_pb2_grpc import ModelVersionServiceAsyncStub
    from rekam_proto.registry.v1.watch_pb2_grpc import WatchServiceAsyncStub

_DEADLINE_S = 20


class RegistryClient:
    """Every service of the registry on one channel."""

    def __init__(self, opened: grpc.aio.Channel) -> None:
        self.channel = opened
        self.models: RegisteredModelServiceAsyncStub = RegisteredModelServiceStub(opened)
        self.versions: ModelVersionServiceAsyncStub = ModelVersionServiceStub(opened)
        self.aliases: AliasServiceAsyncStub = AliasServiceStub(opened)
        self.transitions: TransitionServiceAsyncStub = TransitionServiceStub(opened)
        self.history: HistoryServiceAsyncStub = HistoryServiceStub(opened)
        self.resolve: ResolveServiceAsyncStub = ResolveServiceStub(opened)
        self.watch: WatchServiceAsyncStub = WatchServiceStub(opened)
        self.log: LogServiceAsyncStub = LogServiceStub(opened)


@dataclass(frozen=True)
class RegistryService:
    """How to reach a running service."""

    client: RegistryClient
    target: str
    serve_ops: str
    project_ops: str

    async def reset(self) -> None:
        """Project, then serve, as a local stack does after it purged the log."""
        async with httpx.AsyncClient() as client:
            for ops in (self.project_ops, self.serve_ops):
                (await client.post(f"{ops}/reset", timeout=_DEADLINE_S)).raise_for_status()


@asynccontextmanager
async def running_registry(
    nats_url: str, postgres_url: str, environ: Mapping[str, str] | None = None
) -> AsyncIterator[RegistryService]:
    """A migrated database, `serve` and `project`, ready; stopped in order afterwards."""
    grpc_port, serve_ops, project_ops = free_port(), free_port(), free_port()
    common = {
        "REKAM_NATS_URL": nats_url,
        "REKAM_POSTGRES_URL": postgres_url,
        "REKAM_LOCAL": "1",
        "REKAM_LOG_LEVEL": "warning",
        **(environ or {}),
    }
    listen = {
        "REKAM_GRPC_LISTEN": f"127.0.0.1:{grpc_port}",
        "REKAM_OPS_LISTEN": f"127.0.0.1:{serve_ops}",
    }
    serving = load(ServeSettings, {**common, **listen})
    projecting = load(ProjectSettings, {**common, "REKAM_OPS_LISTEN": f"127.0.0.1:{project_ops}"})
    await server.migrate(load(MigrateSettings, common))
    stop = asyncio.Event()
    roles = [
        asyncio.create_task(server.project(projecting, stop)),
        asyncio.create_task(server.serve(serving, stop)),
    ]
    target = f"127.0.0.1:{grpc_port}"
    opened = channel(target)
    service = RegistryService(
        RegistryClient(opened), target, f"http://127.0.0.1:{serve_ops}", f"http://127.0.0.1:{project_ops}"
    )
    try:
        await asyncio.gather(*(_ready(ops, roles) for ops in (service.serve_ops, service.project_ops)))
        yield service
    finally:
        await opened.close()
        stop.set()
        async with asyncio.timeout(_DEADLINE_S):
            await asyncio.gather(*roles)


async def _ready(ops: str, roles: list[asyncio.Task[None]]) -> None:
    """Poll until the role says that it is ready, or one has failed."""
    async with asyncio.timeout(_DEADLINE_S), httpx.AsyncClient() as client:
        while True:
            for role in roles:
                if role.done():
                    await role
            with suppress(httpx.TransportError):
                if (await client.get(f"{ops}/ready")).status_code == 200:
                    return
            await asyncio.sleep(0.02)
