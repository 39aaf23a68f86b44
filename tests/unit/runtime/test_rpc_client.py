"""Channels with patience: calls without a deadline get one, and wait for a server until then."""

from __future__ import annotations

import asyncio

import grpc
import grpc.aio

from rekam_runtime.errors import Retry
from rekam_runtime.rpc.client import channel
from rekam_runtime.rpc.server import Service, build_server
from rekam_runtime.settings import HostPort
from tests.support.echo import ANYWHERE, SERVICE, UNARY, Context, Echo, failure
from tests.support.ports import free_port

Code = grpc.StatusCode


class Faltering(Echo):
    """Cannot be had the first times."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.left = times
        self.asked = 0

    async def _do(self, request: bytes, context: Context) -> None:
        self.asked += 1
        self.left -= 1
        if self.left >= 0:
            raise Retry("not now")


def echoed(
    opened: grpc.aio.Channel, request: bytes, timeout: float | None = None
) -> grpc.aio.UnaryUnaryCall[bytes, bytes]:
    method: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = opened.unary_unary(UNARY)
    return method(request, timeout=timeout)


async def test_a_patient_call_waits_for_a_server_that_is_not_there_yet() -> None:
    port = free_port()
    async with channel(f"127.0.0.1:{port}", patience_s=60) as patient, asyncio.timeout(60):
        call = echoed(patient, b"x")
        # It has been refused a connection by now, and goes on.
        error = await failure(echoed(patient, b"x", timeout=0.5))
        assert error.code() is Code.DEADLINE_EXCEEDED
        async with build_server([Service(SERVICE.full_name, Echo().register)], HostPort("127.0.0.1", port)):
            assert await call == b"x"


async def test_patience_has_an_end_and_others_have_none() -> None:
    target = f"127.0.0.1:{free_port()}"
    async with channel(target, patience_s=0.2) as patient, channel(target) as hasty, asyncio.timeout(60):
        assert (await failure(echoed(patient, b"x"))).code() is Code.DEADLINE_EXCEEDED
        assert (await failure(echoed(hasty, b"x"))).code() is Code.UNAVAILABLE


async def test_what_may_arrive_twice_is_sent_again_a_few_times() -> None:
    for times, again, asked in ((3, True, 4), (9, True, 5), (3, False, 1)):
        echo = Faltering(times)
        async with (
            build_server([Service(SERVICE.full_name, echo.register)], ANYWHERE) as server,
            channel(f"127.0.0.1:{server.port}", 60, again=again) as opened,
            asyncio.timeout(60),
        ):
            if asked > times:
                assert await echoed(opened, b"x") == b"x"
            else:
                assert (await failure(echoed(opened, b"x"))).code() is Code.UNAVAILABLE
            assert echo.asked == asked
