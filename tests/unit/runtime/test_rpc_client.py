"""Channels with patience: calls without a deadline get one, and wait for a server until then."""

from __future__ import annotations

import asyncio

import grpc
import grpc.aio

from rekam_runtime.rpc.client import channel
from rekam_runtime.rpc.server import Service, build_server
from rekam_runtime.settings import HostPort
from tests.support.echo import SERVICE, UNARY, Echo, failure
from tests.support.ports import free_port

Code = grpc.StatusCode


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
