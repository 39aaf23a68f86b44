"""Forwarding: what comes out at the far end, and what comes back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
import pytest

from rekam_runtime.errors import Invalid
from rekam_runtime.rpc.client import channel
from rekam_runtime.rpc.forward import Forwarder, loopback_only
from rekam_runtime.rpc.status import error_from_rpc
from tests.support.echo import BOTH_STREAM, SERVICE, STREAM, UNARY, Echo, failure, serving

Code = grpc.StatusCode


@pytest.fixture
async def echo() -> Echo:
    return Echo()


@pytest.fixture
async def edge(echo: Echo) -> AsyncIterator[grpc.aio.Channel]:
    """A channel to a server that forwards everything to the echo."""
    async with serving(echo.register) as behind:
        forwarder = Forwarder(behind, [SERVICE], admit=loopback_only)
        async with serving(lambda server: server.add_generic_rpc_handlers([forwarder])) as opened:
            yield opened


def call(edge: Any, method: str, request: bytes, **options: Any) -> Any:
    """Called by what kind of method it is; typed by nothing, as its messages are bytes."""
    if method != STREAM:
        return edge.unary_unary(method)(request, **options)
    return edge.unary_stream(method)(request, **options)


async def finished(made: Any) -> Any:
    """The call, once it has answered."""
    if isinstance(made, grpc.aio.UnaryUnaryCall):
        await made
    else:
        assert [part async for part in made]
    return made


async def test_messages_pass_both_ways(edge: grpc.aio.Channel) -> None:
    large = b"x" * 8_000_000
    assert await call(edge, UNARY, large) == large
    assert [part async for part in call(edge, STREAM, b"y")] == [b"y0", b"y1", b"y2"]


@pytest.mark.parametrize("method", [UNARY, STREAM])
async def test_status_details_and_trailing_metadata_come_back(edge: grpc.aio.Channel, method: str) -> None:
    error = await failure(call(edge, method, b"invalid"))
    assert (error.code(), error.details()) == (Code.INVALID_ARGUMENT, "is too long")
    ours = error_from_rpc(error)
    assert (type(ours), ours.field) == (Invalid, "params[0].key")
    assert dict(error.trailing_metadata() or ())["served-by"] == "echo"


@pytest.mark.parametrize("method", [UNARY, STREAM])
async def test_trailing_metadata_of_a_good_call_comes_back(edge: grpc.aio.Channel, method: str) -> None:
    made = await finished(call(edge, method, b"x"))
    assert dict(await made.trailing_metadata())["served-by"] == "echo"


@pytest.mark.parametrize("method", [UNARY, STREAM])
async def test_metadata_and_deadline_go_along(edge: grpc.aio.Channel, echo: Echo, method: str) -> None:
    metadata = (("traceparent", "00-ab-cd-01"), ("rekam-user", "ada"), ("raw-bin", b"\x00\xff"))
    made = await finished(call(edge, method, b"x", metadata=metadata, timeout=600))
    assert await made.code() is Code.OK
    assert {key: echo.metadata[key] for key, _ in metadata} == dict(metadata)
    assert echo.remaining_s is not None
    assert 0 < echo.remaining_s < 660  # a deadline is rounded up on the wire


async def test_without_a_deadline_there_is_none_behind(edge: grpc.aio.Channel, echo: Echo) -> None:
    await call(edge, UNARY, b"x")
    assert echo.remaining_s is None


@pytest.mark.parametrize("method", [UNARY, STREAM])
async def test_a_deadline_ends_the_call_behind(edge: grpc.aio.Channel, echo: Echo, method: str) -> None:
    error = await failure(call(edge, method, b"hang", timeout=0.2))
    assert error.code() is Code.DEADLINE_EXCEEDED
    async with asyncio.timeout(10):
        await echo.cancelled.wait()


@pytest.mark.parametrize("method", [UNARY, STREAM])
async def test_a_caller_that_leaves_ends_the_call_behind(
    edge: grpc.aio.Channel, echo: Echo, method: str
) -> None:
    made = call(edge, method, b"hang")
    reading = asyncio.ensure_future(failure(made))
    async with asyncio.timeout(10):
        await echo.waiting.wait()
        made.cancel()
        await echo.cancelled.wait()
    await asyncio.wait({reading})


async def test_a_method_that_takes_a_stream_is_not_forwarded(edge: grpc.aio.Channel) -> None:
    error = await failure(call(edge, BOTH_STREAM, b""))
    assert error.code() is Code.UNIMPLEMENTED


async def test_nobody_behind_is_unavailable() -> None:
    async with channel("unix:/nonexistent/rekam.sock") as behind:
        forwarder = Forwarder(behind, [SERVICE])
        async with serving(lambda server: server.add_generic_rpc_handlers([forwarder])) as edge:
            error = await failure(call(edge, UNARY, b"x", timeout=10))
    assert error.code() is Code.UNAVAILABLE
