"""Unary calls: how long one takes, how many are answered a second, beside a method that does nothing.

python -m bench.unary      # serves the empty method until its input ends; prints the port
"""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import grpc.aio
import psutil
import uvloop
from google.protobuf.empty_pb2 import Empty

from rekam_proto.registry.v1 import resolve_pb2
from rekam_runtime.rpc.client import channel
from rekam_runtime.rpc.server import Service, build_server
from rekam_runtime.settings import HostPort

# The runtime's server counts methods that descriptors know; what this one answers is nothing.
SERVICE = resolve_pb2.DESCRIPTOR.services_by_name["ResolveService"].full_name
METHOD = f"/{SERVICE}/Resolve"

WARM_UP_S = 0.5
ROUND_S = 2.0
IN_FLIGHT = 64


@dataclass(frozen=True)
class Method:
    """What is called. pid: of the process that answers."""

    target: str
    request: bytes
    pid: int


@dataclass(frozen=True)
class Answered:
    """One at a time: p50. Many at a time: calls a second, and the server's CPU time for each."""

    p50_ms: float
    per_s: float
    cpu_us: float


def measure(methods: Sequence[Method], rounds: int) -> list[Answered]:
    """Each in turn, so that all have the same of the machine; medians over rounds."""
    found = uvloop.run(_measure(methods, rounds))
    return [
        Answered(
            statistics.median(one.p50_ms for one in answered),
            statistics.median(one.per_s for one in answered),
            statistics.median(one.cpu_us for one in answered),
        )
        for answered in found
    ]


async def _measure(methods: Sequence[Method], rounds: int) -> list[list[Answered]]:
    found: list[list[Answered]] = [[] for _ in methods]
    channels = [channel(method.target) for method in methods]
    calls: list[Any] = [opened.unary_unary(METHOD) for opened in channels]
    for call, method in zip(calls, methods, strict=True):
        await _calls(call, method.request, WARM_UP_S)
    for _ in range(rounds):
        for call, method, answered in zip(calls, methods, found, strict=True):
            answered.append(await _round(call, method))
    for opened in channels:
        await opened.close()
    return found


async def _round(call: Any, method: Method) -> Answered:
    alone = await _calls(call, method.request, ROUND_S / 2)
    process = psutil.Process(method.pid)
    used, began = sum(process.cpu_times()[:2]), time.perf_counter()
    together = await asyncio.gather(*(_calls(call, method.request, ROUND_S) for _ in range(IN_FLIGHT)))
    count, seconds = sum(map(len, together)), time.perf_counter() - began
    used = sum(process.cpu_times()[:2]) - used
    return Answered(statistics.median(alone) * 1_000, count / seconds, used / count * 1e6)


async def _calls(call: Any, request: bytes, for_s: float) -> list[float]:
    """One after the other; seconds of each."""
    seconds: list[float] = []
    end = time.perf_counter() + for_s
    while (began := time.perf_counter()) < end:
        await call(request)
        seconds.append(time.perf_counter() - began)
    return seconds


@contextmanager
def empty_method() -> Iterator[Method]:
    """A process with our server that answers nothing to nothing."""
    command = [sys.executable, "-m", "bench.unary"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield Method(f"127.0.0.1:{process.stdout.readline().strip()}", b"", process.pid)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(10)


async def _serve() -> None:
    async def nothing(request: Empty, context: Any) -> Empty:
        return request

    def register(server: grpc.aio.Server) -> None:
        handler: Any = grpc.unary_unary_rpc_method_handler(
            nothing, request_deserializer=Empty.FromString, response_serializer=Empty.SerializeToString
        )
        server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(SERVICE, {"Resolve": handler})])

    async with build_server([Service(SERVICE, register)], HostPort("127.0.0.1", 0)) as server:
        print(server.port, flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    uvloop.run(_serve())
