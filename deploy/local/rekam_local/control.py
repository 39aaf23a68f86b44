"""LocalStackService: what `rekam status` and `rekam reset` ask of a running stack."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import grpc
import psutil

from rekam_local.child import Child
from rekam_local.emptying import empty
from rekam_local.errors import StackError
from rekam_local.supervisor import Stack
from rekam_proto.local.v1 import local_pb2, local_pb2_grpc
from rekam_runtime.errors import RekamError
from rekam_runtime.rpc.answering import AnswersErrors


class Control(local_pb2_grpc.LocalStackServiceServicer):
    """Answers for one stack."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._emptying = asyncio.Lock()

    async def Describe(  # noqa: N802
        self, request: local_pb2.DescribeRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> local_pb2.DescribeResponse:
        options = self._stack.options
        return local_pb2.DescribeResponse(
            data_dir=str(self._stack.directory.path),
            http=str(options.http),
            grpc=str(options.grpc),
            processes=await asyncio.gather(*(_described(child) for child in self._stack.children())),
        )

    async def Reset(  # noqa: N802
        self, request: local_pb2.ResetRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> local_pb2.ResetResponse:
        began = time.monotonic()
        async with self._emptying:
            try:
                await empty(self._stack)
            except (StackError, RekamError) as error:
                await context.abort(grpc.StatusCode.UNAVAILABLE, f"the stack was not emptied: {error}")
        return local_pb2.ResetResponse(milliseconds=round((time.monotonic() - began) * 1000))


async def serve(stack: Stack) -> grpc.aio.Server:
    """Start answering on the stack's control address."""
    server = grpc.aio.server(interceptors=[AnswersErrors()])
    local_pb2_grpc.add_LocalStackServiceServicer_to_server(Control(stack), server)
    server.add_insecure_port(stack.control_target)
    await server.start()
    return server


async def _described(child: Child) -> local_pb2.Process:
    pid = child.pid
    return local_pb2.Process(
        name=child.name,
        pid=pid or 0,
        started_ms=child.started_ms,
        restarts=child.restarts,
        resident_bytes=_resident_bytes(pid) if pid else 0,
        ready=bool(pid) and await child.command.ready(),
    )


def _resident_bytes(pid: int) -> int:
    """Memory of a process and its children, pages that they share counted once where known."""
    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    total = 0
    for member in family:
        try:
            memory = member.memory_info()
        except psutil.NoSuchProcess:
            continue
        # Postgres' backends all map the same buffers: counted with the first process only.
        total += memory.rss if member is process else memory.rss - getattr(memory, "shared", 0)
    return total
