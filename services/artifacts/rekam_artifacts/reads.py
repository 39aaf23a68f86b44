"""Reading the projection: a connection, once it has what the reader must see."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from rekam_artifacts.events import STREAM
from rekam_artifacts.requests import Context
from rekam_proto.tracking.v1 import read_pb2
from rekam_runtime.errors import Invalid
from rekam_runtime.postgres import Connection, Pool, pinned
from rekam_runtime.projection import FreshReads


class Reads:
    """Gives queries a connection that sees every write acknowledged before, or what is there now."""

    def __init__(self, pool: Pool, fresh: FreshReads, *, deadline_s: float) -> None:
        """deadline_s: how long a read waits at most, when its caller does not say less."""
        self._pool = pool
        self._fresh = fresh
        self._deadline_s = deadline_s

    @asynccontextmanager
    async def connection(
        self, consistency: read_pb2.Consistency, context: Context | None = None
    ) -> AsyncIterator[Connection]:
        """A connection for one query; DeadlineExceeded when the projection does not get there in time."""
        if consistency not in read_pb2.Consistency.values():
            raise Invalid(f"{consistency} is no consistency", field="consistency")
        if consistency == read_pb2.CONSISTENCY_EVENTUAL:
            async with pinned(self._pool) as connection:
                yield connection
            return
        async with self._fresh.connection([STREAM], self._left_s(context)) as connection:
            yield connection

    @asynccontextmanager
    async def behind(self, position: int, context: Context | None = None) -> AsyncIterator[Connection]:
        """A connection that sees what the log has up to a position."""
        async with self._fresh.connection_at({STREAM: position}, self._left_s(context)) as connection:
            yield connection

    def _left_s(self, context: Context | None) -> float:
        left_s: float | None = None if context is None else context.time_remaining()
        return self._deadline_s if left_s is None else min(self._deadline_s, left_s)
