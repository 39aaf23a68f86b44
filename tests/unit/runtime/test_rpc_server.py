"""The gRPC server: errors as status, health, reflection, figures, the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from prometheus_client import REGISTRY

from rekam_runtime.errors import FailedPrecondition, Invalid, NotFound, RekamError, Retry
from rekam_runtime.rpc.client import channel
from rekam_runtime.rpc.server import Service, build_server
from rekam_runtime.rpc.status import error_from_rpc
from rekam_runtime.settings import HostPort
from tests.support.echo import ANYWHERE, BOTH_STREAM, SERVICE, STREAM, UNARY, Echo, failure, serving

Code = grpc.StatusCode


@pytest.fixture
async def echo() -> Echo:
    return Echo()


@pytest.fixture
async def client(echo: Echo) -> AsyncIterator[grpc.aio.Channel]:
    async with serving(echo.register) as opened:
        yield opened


def call(client: Any, method: str, request: bytes) -> Any:
    """Called by what kind of method it is; typed by nothing, as its messages are bytes."""
    if method not in (STREAM, BOTH_STREAM):
        return client.unary_unary(method)(request)
    if method == STREAM:
        return client.unary_stream(method)(request)

    async def requests() -> AsyncIterator[bytes]:
        yield request

    return client.stream_stream(method)(requests())


async def test_an_answer_is_an_answer(client: grpc.aio.Channel) -> None:
    assert await call(client, UNARY, b"x") == b"x"
    assert [part async for part in call(client, STREAM, b"x")] == [b"x0", b"x1", b"x2"]
    assert [part async for part in call(client, BOTH_STREAM, b"x")] == [b"x"]


@pytest.mark.parametrize("method", [UNARY, STREAM, BOTH_STREAM])
@pytest.mark.parametrize(
    ("request_", "code", "kind", "field"),
    [
        (b"invalid", Code.INVALID_ARGUMENT, Invalid, "params[0].key"),
        (b"retry", Code.UNAVAILABLE, Retry, ""),
        (b"conflict", Code.ABORTED, Retry, ""),
        (b"driver", Code.UNAVAILABLE, Retry, ""),
        (b"bug", Code.INTERNAL, Retry, ""),
    ],
)
async def test_an_error_comes_back_as_itself(
    client: grpc.aio.Channel, method: str, request_: bytes, code: Code, kind: type[RekamError], field: str
) -> None:
    error = await failure(call(client, method, request_))
    assert error.code() is code
    ours = error_from_rpc(error)
    assert (type(ours), ours.field) == (kind, field)
    trailing = dict(error.trailing_metadata() or ())
    assert trailing.get("served-by") == "echo"


@pytest.mark.parametrize("method", [UNARY, STREAM, BOTH_STREAM])
async def test_the_inside_of_a_bug_stays_inside(client: grpc.aio.Channel, method: str) -> None:
    error = await failure(call(client, method, b"bug"))
    assert "hunter2" not in repr(error)
    assert (error.details() or "").startswith("internal error ")


async def test_an_unknown_method_is_unimplemented(client: grpc.aio.Channel) -> None:
    error = await failure(call(client, "/no.Such/Method", b""))
    assert error.code() is Code.UNIMPLEMENTED


async def test_calls_are_counted_by_code(client: grpc.aio.Channel) -> None:
    def count(code: Code) -> float:
        labels = {"method": STREAM, "code": code.name}
        return REGISTRY.get_sample_value("rekam_rpc_handled_total", labels) or 0.0

    before = [count(Code.OK), count(Code.INVALID_ARGUMENT), count(Code.INTERNAL)]
    for request in (b"x", b"invalid", b"bug"):
        try:
            async for _ in call(client, STREAM, request):
                pass
        except grpc.aio.AioRpcError:
            pass
    after = [count(Code.OK), count(Code.INVALID_ARGUMENT), count(Code.INTERNAL)]
    assert [now - then for now, then in zip(after, before, strict=True)] == [1, 1, 1]


async def test_health_is_told_of_the_server_and_each_service(client: grpc.aio.Channel) -> None:
    health: Any = health_pb2_grpc.HealthStub(client)
    for name in ("", SERVICE.full_name):
        answer = await health.Check(health_pb2.HealthCheckRequest(service=name))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
    error = await failure(health.Check(health_pb2.HealthCheckRequest(service="no.Such")))
    assert isinstance(error_from_rpc(error), NotFound)


async def test_reflection_lists_the_services(client: grpc.aio.Channel) -> None:
    stub: Any = reflection_pb2_grpc.ServerReflectionStub(client)  # type: ignore[arg-type]  # any channel
    request = reflection_pb2.ServerReflectionRequest(list_services="*")
    (answer,) = [answer async for answer in stub.ServerReflectionInfo(iter([request]))]
    names = {service.name for service in answer.list_services_response.service}
    assert names == {SERVICE.full_name, "grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"}


async def test_a_call_in_progress_may_end_when_the_server_stops() -> None:
    entered, leave = asyncio.Event(), asyncio.Event()

    async def slow(request: bytes, _: object) -> bytes:
        entered.set()
        await leave.wait()
        return request

    def register(server: grpc.aio.Server) -> None:
        methods: dict[str, Any] = {"GetHistory": grpc.unary_unary_rpc_method_handler(slow)}
        server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(SERVICE.full_name, methods)])

    server = build_server([Service(SERVICE.full_name, register)], ANYWHERE)
    async with server, channel(f"127.0.0.1:{server.port}") as client:
        answer = asyncio.ensure_future(call(client, UNARY, b"x"))
        await entered.wait()
        stopping = asyncio.ensure_future(server.__aexit__())
        leave.set()
        assert await answer == b"x"
        await stopping


async def test_a_port_that_is_taken_is_a_clear_error() -> None:
    async with build_server([], ANYWHERE) as first:
        listen = HostPort("127.0.0.1", first.port)
        with pytest.raises(FailedPrecondition, match=f"cannot listen for gRPC on {listen}"):
            await build_server([], listen).__aenter__()


async def test_a_call_beyond_the_bound_is_told_to_come_later(echo: Echo) -> None:
    server = build_server([Service(SERVICE.full_name, echo.register)], ANYWHERE, most_calls=1, grace_s=0.1)
    async with server, channel(f"127.0.0.1:{server.port}") as client:
        first = call(client, UNARY, b"hang")
        await asyncio.wait_for(echo.waiting.wait(), 10)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call(client, UNARY, b"x")
        assert refused.value.code() == Code.RESOURCE_EXHAUSTED
        first.cancel()
        await asyncio.wait_for(echo.cancelled.wait(), 10)
        deadline = asyncio.get_running_loop().time() + 10
        while True:  # the place is free a moment after the call has ended
            try:
                assert await call(client, UNARY, b"x") == b"x"
                break
            except grpc.aio.AioRpcError:
                assert asyncio.get_running_loop().time() < deadline


async def test_a_request_that_cannot_be_read_is_refused() -> None:
    async def answer(request: object, context: object) -> bytes:
        return b""

    def register(server: grpc.aio.Server) -> None:
        parsed: Any = grpc.unary_unary_rpc_method_handler(
            answer, request_deserializer=health_pb2.HealthCheckRequest.FromString
        )
        server.add_generic_rpc_handlers(
            [grpc.method_handlers_generic_handler(SERVICE.full_name, {"GetHistory": parsed})]
        )

    async with serving(register) as client:
        error = await failure(call(client, UNARY, b"\x0a\x01\xff"))
        assert error.code() == Code.INVALID_ARGUMENT
        assert "cannot be read" in (error.details() or "")
