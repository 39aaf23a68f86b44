"""Bodies within their bounds: of size, of all together, of time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import pytest
from starlette.requests import Request
from starlette.types import Message

from rekam_gateway.http.body import Bodies
from rekam_gateway.http.errors import Coded
from rekam_runtime.errors import SlowDown


def sending(chunks: Iterable[bytes], *, ends: bool = True, declared: int | None = None) -> Request:
    """A request whose body comes in these chunks, and then ends, or never does."""
    left = iter(chunks)

    async def receive() -> Message:
        chunk = next(left, None)
        if chunk is None and not ends:
            await asyncio.Event().wait()
        return {"type": "http.request", "body": chunk or b"", "more_body": chunk is not None}

    length = [] if declared is None else [(b"content-length", str(declared).encode())]
    return Request({"type": "http", "method": "POST", "headers": length}, receive)


async def test_a_body_counts_as_long_as_it_is_used() -> None:
    bodies = Bodies(most=10)
    async with bodies.read(sending([b"01234", b"56789"])) as body:
        assert body == b"0123456789"
        assert bodies.held == 10
    assert bodies.held == 0


@pytest.mark.parametrize("request_", [sending([b"01234567890"]), sending([], ends=False, declared=11)])
async def test_a_body_that_is_too_large_is_refused_before_it_is_whole(request_: Request) -> None:
    bodies = Bodies(most=10)
    with pytest.raises(Coded, match="at most 10 bytes") as refused:
        async with bodies.read(request_):
            pass
    assert refused.value.status == 413
    assert bodies.held == 0


async def test_past_the_bound_of_all_one_is_told_to_come_again() -> None:
    bodies = Bodies(most=10, most_of_all=15)
    async with bodies.read(sending([b"0123456789"])):
        with pytest.raises(SlowDown):
            async with bodies.read(sending([b"0123456789"])):
                pass
        async with bodies.read(sending([b"01234"])) as body:
            assert body == b"01234"
    assert bodies.held == 0


async def test_a_body_that_does_not_come_is_not_waited_for() -> None:
    bodies = Bodies(timeout_s=0.01)
    with pytest.raises(Coded) as refused:
        async with bodies.read(sending([b"0"], ends=False)):
            pass
    assert refused.value.status == 408
    assert bodies.held == 0


async def test_a_client_that_goes_away_is_no_fault() -> None:
    async def receive() -> Message:
        return {"type": "http.disconnect"}

    bodies = Bodies()
    with pytest.raises(Coded) as refused:
        async with bodies.read(Request({"type": "http", "method": "POST", "headers": []}, receive)):
            pass
    assert refused.value.status == 499
