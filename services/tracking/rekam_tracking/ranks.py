"""Which writers of a run a query is about, and their ranks."""

from __future__ import annotations

from typing import Protocol
from uuid import UUID

from rekam_runtime.postgres import Connection, Statements

_statements = Statements.load("rekam_tracking", "ranks.sql")


class _OfRank(Protocol):
    @property
    def rank(self) -> int: ...

    def HasField(self, field_name: str, /) -> bool: ...  # noqa: N802


def rank_of(request: _OfRank) -> int | None:
    """The rank that a request asks for; None: all."""
    return request.rank if request.HasField("rank") else None


async def writers_of(connection: Connection, run_id: UUID, writer: str, rank: int | None) -> list[int] | None:
    """Ids of the writers of this name and rank; None when neither is asked for: all."""
    if not writer and rank is None:
        return None
    rows = await connection.fetch(_statements.writers, run_id, writer, rank)
    return [row["writer_id"] for row in rows]


async def ranks_of(connection: Connection, run_id: UUID) -> dict[int, int | None]:
    """The rank of each writer, by the writer's id."""
    rows = await connection.fetch(_statements.ranks, run_id)
    return {row["writer_id"]: row["rank"] for row in rows}
