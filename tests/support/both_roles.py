"""A service's `serve` and `project` with their servers, in this process, on real NATS and Postgres."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TypeVar

import httpx

from rekam_runtime import roles
from rekam_runtime.settings import load
from tests.support.ports import free_port

_DEADLINE_S = 20

ServeT = TypeVar("ServeT", bound=roles.ServeSettings)
ProjectT = TypeVar("ProjectT", bound=roles.RoleSettings)
Running = Coroutine[None, None, None]


@dataclass(frozen=True)
class BothRoles:
    """How to reach a running service."""

    target: str
    serve_ops: str
    project_ops: str

    async def reset(self) -> None:
        """Project, then serve, as a local stack does after it purged the log."""
        async with httpx.AsyncClient() as client:
            for ops in (self.project_ops, self.serve_ops):
                (await client.post(f"{ops}/reset", timeout=_DEADLINE_S)).raise_for_status()


@asynccontextmanager
async def running(
    serve: tuple[Callable[[ServeT, asyncio.Event], Running], type[ServeT]],
    project: tuple[Callable[[ProjectT, asyncio.Event], Running], type[ProjectT]],
    migrate: Callable[[roles.MigrateSettings], Running],
    nats_url: str,
    postgres_url: str,
    environ: Mapping[str, str] | None = None,
) -> AsyncIterator[BothRoles]:
    """A migrated database, both roles ready; stopped in order afterwards."""
    target, serve_ops, project_ops = (f"127.0.0.1:{free_port()}" for _ in range(3))
    common = {
        "REKAM_NATS_URL": nats_url,
        "REKAM_POSTGRES_URL": postgres_url,
        "REKAM_LOCAL": "1",
        "REKAM_LOG_LEVEL": "warning",
        **(environ or {}),
    }
    serving = load(serve[1], {**common, "REKAM_GRPC_LISTEN": target, "REKAM_OPS_LISTEN": serve_ops})
    projecting = load(project[1], {**common, "REKAM_OPS_LISTEN": project_ops})
    await migrate(load(roles.MigrateSettings, common))
    stop = asyncio.Event()
    tasks = [
        asyncio.create_task(project[0](projecting, stop)),
        asyncio.create_task(serve[0](serving, stop)),
    ]
    service = BothRoles(target, f"http://{serve_ops}", f"http://{project_ops}")
    try:
        await asyncio.gather(*(_ready(ops, tasks) for ops in (service.serve_ops, service.project_ops)))
        yield service
    finally:
        stop.set()
        async with asyncio.timeout(_DEADLINE_S):
            await asyncio.gather(*tasks)


async def _ready(ops: str, tasks: list[asyncio.Task[None]]) -> None:
    """Poll until the role says that it is ready, or one has failed."""
    async with asyncio.timeout(_DEADLINE_S), httpx.AsyncClient() as client:
        while True:
            for task in tasks:
                if task.done():
                    await task
            with suppress(httpx.TransportError):
                if (await client.get(f"{ops}/ready")).status_code == 200:
                    return
            await asyncio.sleep(0.02)
