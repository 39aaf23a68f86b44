"""The byte budget: its bound, its order, and what a cancelled waiter leaves."""

from __future__ import annotations

import asyncio

import pytest

from rekam_runtime.budget import ByteBudget


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_who_would_pass_the_bound_waits() -> None:
    budget = ByteBudget(10)
    await budget.acquire(6)
    second = asyncio.create_task(budget.acquire(5))
    await settled()
    assert not second.done() and budget.held == 6
    budget.release(6)
    await second
    assert budget.held == 5


async def test_waiters_are_served_in_order_even_when_a_later_one_would_fit() -> None:
    budget = ByteBudget(10)
    await budget.acquire(8)
    large = asyncio.create_task(budget.acquire(9))
    small = asyncio.create_task(budget.acquire(1))
    await settled()
    assert not large.done() and not small.done()
    budget.release(8)
    await settled()
    assert large.done() and small.done() and budget.held == 10


async def test_more_than_the_whole_budget_is_let_in_alone() -> None:
    budget = ByteBudget(10)
    await budget.acquire(25)
    other = asyncio.create_task(budget.acquire(1))
    await settled()
    assert not other.done()
    budget.release(25)
    await other


async def test_a_cancelled_waiter_holds_nothing_and_blocks_nobody() -> None:
    budget = ByteBudget(10)
    await budget.acquire(8)
    large = asyncio.create_task(budget.acquire(9))
    small = asyncio.create_task(budget.acquire(2))
    await settled()
    large.cancel()
    with pytest.raises(asyncio.CancelledError):
        await large
    await small
    assert budget.held == 10


async def test_a_waiter_cancelled_in_the_instant_of_its_turn_gives_it_back() -> None:
    budget = ByteBudget(10)
    await budget.acquire(10)
    waiter = asyncio.create_task(budget.acquire(4))
    await settled()
    budget.release(10)
    waiter.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiter
    assert budget.held == 0
