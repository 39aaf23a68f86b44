"""Work that goes on together: what ends one part ends all."""

from __future__ import annotations

import asyncio

import pytest

from rekam_runtime.errors import Retry
from rekam_runtime.process import together


async def test_the_first_that_fails_ends_the_others_and_is_told() -> None:
    ended = asyncio.Event()

    async def goes_on() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def fails() -> None:
        await asyncio.sleep(0)
        raise Retry("not now")

    with pytest.raises(Retry, match="not now"):
        await together(goes_on(), fails())
    assert ended.is_set()


async def test_cancelled_it_leaves_nothing_behind() -> None:
    running = 0

    async def goes_on() -> None:
        nonlocal running
        running += 1
        try:
            await asyncio.Event().wait()
        finally:
            running -= 1

    task = asyncio.create_task(together(goes_on(), goes_on()))
    while running < 2:  # noqa: ASYNC110
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert running == 0
