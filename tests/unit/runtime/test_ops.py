"""The operations port: what it answers, and to whom."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from rekam_runtime.errors import FailedPrecondition, Retry
from rekam_runtime.hosts import REFUSAL, host_is_trusted
from rekam_runtime.ops import OpsServer
from rekam_runtime.settings import HostPort

ANYWHERE = HostPort("127.0.0.1", 0)


async def ready() -> list[str]:
    return []


async def get(ops: OpsServer, path: str, method: str = "GET", **headers: str) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False) as client:
        return await client.request(method, f"http://127.0.0.1:{ops.port}{path}", headers=headers)


async def test_health_readiness_and_figures() -> None:
    missing: list[str] = []

    async def readiness() -> list[str]:
        return missing

    async with OpsServer(ANYWHERE, readiness) as ops:
        health = await get(ops, "/health")
        assert (health.status_code, health.text) == (200, "OK")
        assert (health.headers["x-content-type-options"], health.headers["x-frame-options"]) == (
            "nosniff",
            "SAMEORIGIN",
        )
        answer = await get(ops, "/ready")
        assert (answer.status_code, answer.json()) == (200, {"ready": True, "missing": []})
        missing.append("the event log is not connected")
        answer = await get(ops, "/ready")
        assert (answer.status_code, answer.json()) == (503, {"ready": False, "missing": missing})
        figures = await get(ops, "/metrics")
        assert "process_resident_memory_bytes " in figures.text
        assert (await get(ops, "/nowhere")).status_code == 404


async def test_figures_are_given_whatever_version_is_asked_for() -> None:
    async def readiness() -> list[str]:
        return []

    async with OpsServer(ANYWHERE, readiness) as ops, httpx.AsyncClient() as client:
        url = f"http://127.0.0.1:{ops.port}/metrics"
        for accept in ("application/openmetrics-text;version=1.x", "text/plain;version=x", "*;q=a"):
            answer = await client.get(url, headers={"accept": accept})
            assert answer.status_code == 200
            assert "process_resident_memory_bytes " in answer.text


async def test_a_part_that_cannot_be_asked_is_not_ready() -> None:
    async def readiness() -> list[str]:
        raise Retry("Postgres cannot be used now")

    async with OpsServer(ANYWHERE, readiness) as ops:
        answer = await get(ops, "/ready")
    assert (answer.status_code, answer.json()["missing"]) == (503, ["Postgres cannot be used now"])


async def test_reset_is_there_only_when_given() -> None:
    async with OpsServer(ANYWHERE, ready) as ops:
        assert (await get(ops, "/reset", "POST")).status_code == 404


async def test_reset_is_for_programs_not_for_pages() -> None:
    resets: list[str] = []

    async def reset() -> None:
        resets.append("reset")

    async with OpsServer(ANYWHERE, ready, reset) as ops:
        assert (await get(ops, "/reset", "POST", origin="http://evil.example")).status_code == 403
        assert (await get(ops, "/reset", "POST", host="evil.example")).status_code == 403
        assert (await get(ops, "/reset")).status_code == 405
        assert resets == []
        assert (await get(ops, "/reset", "POST")).status_code == 200
        assert resets == ["reset"]


async def test_a_foreign_host_is_refused_except_for_health() -> None:
    async def version(_: Request) -> Response:
        return PlainTextResponse("1.0")

    async with OpsServer(
        ANYWHERE, ready, routes=[Route("/version", version)], allowed_hosts=["*.rekam.example"]
    ) as ops:
        for path in ("/ready", "/metrics", "/nowhere"):
            answer = await get(ops, path, host="evil.example")
            assert (answer.status_code, answer.text) == (403, REFUSAL)
        for path in ("/health", "/version"):
            assert (await get(ops, path, host="evil.example")).status_code == 200
        assert (await get(ops, "/ready", host="a.rekam.example:5000")).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        *("localhost", "LOCALHOST:5000", "127.0.0.1:1", "[::1]:5000", "0.0.0.0"),
        *("10.1.2.3:80", "192.168.0.1", "172.16.0.1", "172.31.255.255", "[fd00::1]", "[fc00::2]:9"),
    ],
)
def test_loopback_and_private_hosts_are_trusted(host: str) -> None:
    assert host_is_trusted(host)


@pytest.mark.parametrize(
    "host",
    [
        *("", "evil.example", "localhost.evil.example", "10.evil.example", "127.0.0.1.evil.example"),
        *("8.8.8.8", "172.32.0.1", "[2001:db8::1]", "localhost:x", "localhost, evil.example", "@localhost"),
    ],
)
def test_other_hosts_are_not(host: str) -> None:
    assert not host_is_trusted(host)


def test_configured_hosts_are_trusted_with_and_without_port() -> None:
    assert host_is_trusted("gateway:5000", ("gateway",))
    assert host_is_trusted("anything.example", ("*",))
    assert not host_is_trusted("gateway.evil.example", ("gateway",))


async def test_a_port_that_is_taken_is_a_clear_error() -> None:
    async with OpsServer(ANYWHERE, ready) as ops:
        listen = HostPort("127.0.0.1", ops.port)
        with pytest.raises(FailedPrecondition, match=f"cannot listen for HTTP on {listen}"):
            await OpsServer(listen, ready).__aenter__()


async def test_the_port_is_free_afterwards() -> None:
    async with OpsServer(ANYWHERE, ready) as ops:
        listen = HostPort("127.0.0.1", ops.port)
    async with asyncio.timeout(10), OpsServer(listen, ready) as again:
        assert again.port == listen.port
