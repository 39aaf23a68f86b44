"""The tracking service as it runs: both roles with their servers, on real NATS and Postgres."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc.aio
import httpx

from rekam_proto.tracking.v1.experiment_pb2_grpc import ExperimentServiceStub
from rekam_proto.tracking.v1.metric_pb2_grpc import MetricServiceStub
from rekam_proto.tracking.v1.run_pb2_grpc import RunServiceStub
from rekam_runtime.roles import MigrateSettings
from rekam_runtime.rpc.client import channel
from rekam_runtime.settings import load
from rekam_tracking import server
from rekam_tracking.settings import ProjectSettings, ServeSettings
from tests.support.ports import free_port

if TYPE_CHECKING:
    from rekam_proto.tracking.v1.experiment_pb2_grpc import ExperimentServiceAsyncStub
    from rekam_proto.tracking.v1.metric_pb2_grpc import MetricServiceAsyncStub
    from rekam_proto.tracking.v1.run_pb2_grpc import RunServiceAsyncStub

_DEADLINE_S = 20


@dataclass(frozen=True)
class TrackingService:
    """How to reach a running service."""

    channel: grpc.aio.Channel
    experiments: ExperimentServiceAsyncStub
    runs: RunServiceAsyncStub
    metrics: MetricServiceAsyncStub
    serve_ops: str
    project_ops: str
    target: str

    async def reset(self) -> None:
        """Project, then serve, as a local stack does after it purged the log."""
        async with httpx.AsyncClient() as client:
            for ops in (self.project_ops, self.serve_ops):
                (await client.post(f"{ops}/reset", timeout=_DEADLINE_S)).raise_for_status()


@asynccontextmanager
async def running_tracking(
    nats_url: str, postgres_url: str, environ: Mapping[str, str] | None = None
) -> AsyncIterator[TrackingService]:
    """A migrated database, `serve` and `project`, ready; stopped in order afterwards."""
    grpc_port, serve_ops, project_ops = free_port(), free_port(), free_port()
    common = {
        "REKAM_NATS_URL": nats_url,
        "REKAM_POSTGRES_URL": postgres_url,
        "REKAM_LOCAL": "1",
        "REKAM_LOG_LEVEL": "warning",
        **(environ or {}),
    }
    serving = load(
        ServeSettings,
        {
            **common,
            "REKAM_GRPC_LISTEN": f"127.0.0.1:{grpc_port}",
            "REKAM_OPS_LISTEN": f"127.0.0.1:{serve_ops}",
        },
    )
    projecting = load(ProjectSettings, {**common, "REKAM_OPS_LISTEN": f"127.0.0.1:{project_ops}"})
    await server.migrate(load(MigrateSettings, common))
    stop = asyncio.Event()
    roles = [
        asyncio.create_task(server.project(projecting, stop)),
        asyncio.create_task(server.serve(serving, stop)),
    ]
    opened = channel(f"127.0.0.1:{grpc_port}")
    service = TrackingService(
        opened,
        ExperimentServiceStub(opened),
        RunServiceStub(opened),
        MetricServiceStub(opened),
        f"http://127.0.0.1:{serve_ops}",
        f"http://127.0.0.1:{project_ops}",
        f"127.0.0.1:{grpc_port}",
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
