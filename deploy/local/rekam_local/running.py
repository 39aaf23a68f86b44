"""One run of `rekam up`: from the checks to the last process ended."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import import_module

from rekam_local.child import Say
from rekam_local.directory import DataDirectory
from rekam_local.errors import StackError
from rekam_local.leftovers import end_leftovers
from rekam_local.lock import DirectoryLock
from rekam_local.ports import PortBlock, require_free
from rekam_local.services import Listen, Scale
from rekam_local.supervisor import Options, Stack, first_of


@dataclass(frozen=True, slots=True)
class Request:
    """What `rekam up` was asked for; port 0 takes a free one, None the directory's number."""

    http: Listen
    grpc: Listen
    postgres_user: str
    shards: int | None
    nats_nodes: int | None
    replicas: int
    stop_with_stdin: bool


Announce = Callable[[Listen, Listen], None]


async def run(directory: DataDirectory, request: Request, say: Say, announce: Announce) -> None:
    """Run a stack until SIGTERM or SIGINT; `announce` is called when it is ready."""
    directory.check()
    made = directory.create()
    used = False
    try:
        with DirectoryLock(directory.path), PortBlock(directory.last_ports()) as ports:
            if await end_leftovers(directory.read_state()):
                say("an earlier stack was killed; what was left of it has ended")
            http = _concrete("--http", request.http, ports)
            grpc = _concrete("--grpc", request.grpc, ports)
            scale = Scale(
                shards=directory.agree_on("--points-shards", request.shards),
                nats_nodes=directory.agree_on("--nats-nodes", request.nats_nodes),
                replicas=request.replicas,
            )
            used = True
            credentials = directory.prepare()
            options = Options(http, grpc, request.postgres_user, scale)
            directory.keep_ports(ports.start)
            stack = Stack(directory, credentials, options, ports, say)
            await _until_stopped(stack, say, request.stop_with_stdin, lambda: announce(http, grpc))
    finally:
        if made and not used:
            shutil.rmtree(directory.path, ignore_errors=True)


def _concrete(option: str, listen: Listen, ports: PortBlock) -> Listen:
    """The address with a port in the place of 0, checked."""
    if listen.port == 0:
        return replace(listen, port=ports.take())
    require_free(option, listen.host, listen.port)
    return listen


async def _until_stopped(stack: Stack, say: Say, stop_with_stdin: bool, announce: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()
    asked = asyncio.Event()

    def on_signal(name: str) -> None:
        if asked.is_set():
            say(f"{name} again: killing everything")
            stack.kill()
            return
        say(f"{name}: stopping")
        asked.set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, on_signal, number.name)

    if stop_with_stdin:
        await _watch_stdin(asked, say)
    tending = asyncio.create_task(stack.tend())
    life = asyncio.create_task(_serve(stack, announce))
    stopping = asyncio.create_task(asked.wait())
    try:
        await asyncio.wait([life, stopping], return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (life, stopping, tending):
            task.cancel()
        await asyncio.wait([life, stopping, tending])
        await stack.stop()
    if not life.cancelled():
        try:
            life.result()
        except* StackError as errors:
            raise StackError(str(first_of(errors))) from errors
    say("stopped")


async def _watch_stdin(asked: asyncio.Event, say: Say) -> None:
    class Watch(asyncio.Protocol):
        def connection_lost(self, error: Exception | None) -> None:
            say("stdin closed: stopping")
            asked.set()

    # Until it closes it is a pipe that somebody holds; what is written to it is not ours.
    await asyncio.get_running_loop().connect_read_pipe(Watch, sys.stdin)


async def _serve(stack: Stack, announce: Callable[[], None]) -> None:
    # Every child is executed anew at once: gRPC's care for forks has nothing to do here.
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
    # Imported while the parts start: gRPC takes a quarter of a second.
    async with asyncio.TaskGroup() as group:
        group.create_task(asyncio.to_thread(import_module, "rekam_local.control"))
        group.create_task(stack.start())
    from rekam_local.control import serve

    server = await serve(stack)
    try:
        announce()
        await server.wait_for_termination()
    finally:
        # A server that is stopped in the moment it starts may never say that it has.
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(server.stop(grace=0.5), 2.0)
