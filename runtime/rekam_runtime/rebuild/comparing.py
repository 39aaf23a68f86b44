"""Two generations held against each other: what readers see, owner by owner.

A digest says how many rows an owner (a run, say) has and what they add up to; it does not depend
on their order, on surrogate ids, or on how rows are cut and compressed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

from rekam_runtime.postgres import Connection

_PREFETCHED = 1_000


@dataclass(frozen=True, slots=True)
class Digest:
    owner: str
    rows: int
    checksum: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """digests: in the order of their owners (by code point), in the generation that the session sees."""

    name: str
    digests: Callable[[Connection], AsyncIterator[Digest]]


def by_statement(name: str, statement: str) -> Comparison:
    """A comparison by a statement that answers owner, rows and checksum, in order."""

    async def digests(connection: Connection) -> AsyncIterator[Digest]:
        async for owner, rows, checksum in connection.cursor(statement, prefetch=_PREFETCHED):
            yield Digest(owner, rows, int(checksum))

    return Comparison(name, digests)


@dataclass(frozen=True, slots=True)
class Difference:
    """An owner whose rows are not the same; 0 rows where it has none."""

    table: str
    owner: str
    active_rows: int
    rebuilt_rows: int


async def differences(
    active: Connection, rebuilt: Connection, comparisons: Sequence[Comparison]
) -> AsyncIterator[Difference]:
    """All of them; each connection is in a transaction that sees one moment of its generation."""
    for comparison in comparisons:
        async for ours, theirs in _paired(comparison.digests(active), comparison.digests(rebuilt)):
            if ours == theirs:
                continue
            one = ours or theirs
            assert one is not None
            yield Difference(
                comparison.name, one.owner, ours.rows if ours else 0, theirs.rows if theirs else 0
            )


async def _paired(
    first: AsyncIterator[Digest], second: AsyncIterator[Digest]
) -> AsyncIterator[tuple[Digest | None, Digest | None]]:
    """Digests of the same owner side by side; both are read at once."""
    one, other = await _both(first, second)
    while one is not None or other is not None:
        if other is None or (one is not None and one.owner < other.owner):
            yield one, None
            one = await _next(first)
        elif one is None or other.owner < one.owner:
            yield None, other
            other = await _next(second)
        else:
            yield one, other
            one, other = await _both(first, second)


async def _both(
    first: AsyncIterator[Digest], second: AsyncIterator[Digest]
) -> tuple[Digest | None, Digest | None]:
    return await asyncio.gather(_next(first), _next(second))


async def _next(digests: AsyncIterator[Digest]) -> Digest | None:
    return await anext(digests, None)
