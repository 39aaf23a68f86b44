"""One run of `rekam up`: from the checks to the last process ended."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
from collections.abc import Callable
from dataclasses import replace

from rekam_local.child import Say
from rekam_local.directory import DataDirectory
from rekam_local.errors import StackError
from rekam_local.leftovers import end_leftovers
from rekam_local.lock import DirectoryLock
from rekam_local.ports import PortBlock, require_free
from rekam_local.services import Listen
from rekam_local.supervisor import Options, Stack


async def run(
    directory: DataDirectory, options: Options, say: Say, announce: Callable[[Options], None]
) -> None:
    """Run a stack until SIGTERM or SIGINT; `announce` is called when it is ready."""
    directory.check()
    made = directory.create()
    used = False
    try:
        with DirectoryLock(directory.path), PortBlock(directory.last_ports()) as ports:
            if await end_leftovers(directory.read_state()):
                say("an earlier stack was killed; what was left of it has ended")
            options = replace(
                options,
                http=_concrete("--http", options.http, ports),
                grpc=_concrete("--grpc", options.grpc, ports),
            )
            used = True
            credentials = directory.prepare()
            directory.keep_ports(ports.start)
            stack = Stack(directory, credentials, options, ports, say)
            await _until_stopped(stack, say, lambda: announce(options))
    finally:
        if made and not used:
            shutil.rmtree(directory.path, ignore_errors=True)


def _concrete(option: str, listen: Listen, ports: PortBlock) -> Listen:
    """The address with a port in the place of 0, checked."""
    if listen.port == 0:
        return replace(listen, port=ports.take())
    require_free(option, listen.host, listen.port)
    return listen


async def _until_stopped(stack: Stack, say: Say, announce: Callable[[], None]) -> None:
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

    logs = asyncio.create_task(stack.bound_logs())
    life = asyncio.create_task(_serve(stack, announce))
    stopping = asyncio.create_task(asked.wait())
    try:
        await asyncio.wait([life, stopping], return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (life, stopping, logs):
            task.cancel()
        await asyncio.wait([life, stopping, logs])
        await stack.stop()
    if not life.cancelled():
        life.result()
    say("stopped")


async def _serve(stack: Stack, announce: Callable[[], None]) -> None:
    starting = asyncio.create_task(stack.start())
    try:
        # Every child is executed anew at once: gRPC's care for forks has nothing to do here.
        os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
        # Imported while the parts start: gRPC takes a quarter of a second.
        from rekam_local.control import serve

        server = await serve(stack)
        try:
            await starting
            announce()
            await server.wait_for_termination()
        finally:
            await server.stop(grace=0.5)
    finally:
        starting.cancel()
        with contextlib.suppress(asyncio.CancelledError, StackError):
            await starting
