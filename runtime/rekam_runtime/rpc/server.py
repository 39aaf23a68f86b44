"""A gRPC server with what every service has: health, reflection, errors as status, a graceful end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from rekam_runtime.errors import FailedPrecondition
from rekam_runtime.rpc import options
from rekam_runtime.rpc.answering import AnswersErrors, Translate
from rekam_runtime.settings import HostPort

# At one time.
MOST_CALLS = 4_096
_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


@dataclass(frozen=True, slots=True)
class Service:
    """A service to be served.

    name: full proto name, `rekam_proto.tracking.v1.RunService`.
    register: adds its handlers: `lambda server: add_RunServiceServicer_to_server(runs, server)`.
    """

    name: str
    register: Callable[[grpc.aio.Server], None]


class RpcServer:
    """Serves between entering and leaving: `async with build_server(...) as server`."""

    def __init__(
        self,
        server: grpc.aio.Server,
        services: Sequence[Service],
        listen: HostPort,
        grace_s: float,
        drain: Callable[[], Awaitable[None]] | None,
    ):
        self._server = server
        self._listen = listen
        self._grace_s = grace_s
        self._drain = drain
        self._health = health.aio.HealthServicer()
        self._names = ["", *(service.name for service in services)]
        self.port = 0
        for service in services:
            service.register(server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        shown = [*self._names[1:], health.SERVICE_NAME, reflection.SERVICE_NAME]
        reflection.enable_server_reflection(shown, server)

    async def set_serving(self, serving: bool) -> None:
        """What health checks are told of every service."""
        for name in self._names:
            await self._health.set(name, _SERVING if serving else _NOT_SERVING)

    async def __aenter__(self) -> RpcServer:
        try:
            self.port = self._server.add_insecure_port(str(self._listen))
        except RuntimeError as error:
            raise FailedPrecondition(f"cannot listen for gRPC on {self._listen}: is it taken?") from error
        await self._server.start()
        await self.set_serving(True)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Take no new calls, let those in progress end for a while, then cut them off."""
        await self._health.enter_graceful_shutdown()
        stopping = asyncio.create_task(self._server.stop(self._grace_s))
        if self._drain is not None:
            await self._drain()
        await stopping


def build_server(
    services: Sequence[Service],
    listen: HostPort,
    *,
    translate: Translate | None = None,
    grace_s: float = 3.0,
    most_calls: int = MOST_CALLS,
    reuse_port: bool = False,
    drain: Callable[[], Awaitable[None]] | None = None,
) -> RpcServer:
    """A server for the services; it listens once it is entered.

    translate: see `AnswersErrors`; a service with tables hands in `postgres.retry_of`.
    most_calls: calls and streams at one time; one more is answered RESOURCE_EXHAUSTED.
    reuse_port: share the port with other servers that do, each gets its part of the connections;
        else a port that is taken is an error.
    drain: ends streams that would last, once no new ones are taken; those left after grace_s are cut.
    """
    server = grpc.aio.server(
        interceptors=[AnswersErrors(translate)],
        options=(*options.SERVER, ("grpc.so_reuseport", int(reuse_port))),
        maximum_concurrent_rpcs=most_calls,
    )
    return RpcServer(server, services, listen, grace_s, drain)
