"""Reset: empties a running stack's log, projections and blobs, and leaves it as new.

The order matters. First the gateway ends its ingest streams, so that nothing is appended
any more; then the log is purged; then the archiver ends what it was storing, and the blobs
are deleted; then the projections are emptied and take the log's end as their position;
then `serve` forgets what it has folded and appends the Default experiment again.
"""

from __future__ import annotations

import asyncio

from rekam_local import probe
from rekam_local.errors import StackError
from rekam_local.services import Service
from rekam_local.supervisor import Stack
from rekam_runtime.eventlog.jetstream.log import JetStreamLog

_TIMEOUT_S = 20.0


async def empty(stack: Stack) -> None:
    """Empty the stack; returns when it can be read and written again."""
    gateways = _of(stack, "rekam_gateway")
    await asyncio.gather(*map(_reset, gateways))
    await _purge(stack)
    # Once more, for streams that came between: what they announced is gone.
    await asyncio.gather(*map(_reset, gateways))
    for archive in _of(stack, "rekam_archive", "archive"):
        await _reset(archive)
    blobs = asyncio.create_task(stack.seaweed.empty())
    try:
        packages = ("rekam_tracking", "rekam_artifacts", "rekam_registry")
        for package in packages:
            for project in _of(stack, package, "project"):
                await _reset(project)
        serves = [service for package in packages for service in _of(stack, package)]
        await asyncio.gather(*(_reset(service) for service in serves))
        await blobs
    finally:
        blobs.cancel()


def _of(stack: Stack, package: str, role: str = "serve") -> list[Service]:
    """All replicas."""
    return [service for service in stack.services if (service.package, service.role) == (package, role)]


async def _purge(stack: Stack) -> None:
    log = await JetStreamLog.connect(stack.nats_url, "rekam reset")
    try:
        for stream in await log.streams():
            await log.purge(stream)
    finally:
        await log.close()


async def _reset(service: Service) -> None:
    answer = await probe.call("POST", service.ops.host, service.ops.port, "/reset", timeout_s=_TIMEOUT_S)
    if answer is None:
        raise StackError(f"{service.name} does not answer")
    if answer.status >= 300:
        text = answer.body.decode(errors="replace").strip()
        raise StackError(f"{service.name} refused to reset: {answer.status} {text}")
