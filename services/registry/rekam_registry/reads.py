"""Reading the projection: a connection, once it has what the reader must see."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from rekam_proto.registry.v1.read_pb2 import AsOf
from rekam_proto.tracking.v1 import read_pb2
from rekam_registry.events import STREAM
from rekam_registry.moment import Moment
from rekam_registry.requests import Context
from rekam_runtime.errors import Invalid
from rekam_runtime.eventlog.port import EventLog
from rekam_runtime.postgres import Connection, Pool, pinned
from rekam_runtime.projection import FreshReads


@dataclass(frozen=True, slots=True)
class View:
    """A connection in a transaction that sees one state of the projection, and the moment to ask it for."""

    connection: Connection
    at: Moment


class Reads:
    """Gives queries a view of every write acknowledged before, or of what is there now."""

    def __init__(self, log: EventLog, pool: Pool, fresh: FreshReads, *, deadline_s: float) -> None:
        """deadline_s: how long a strong read waits at most, when its caller does not say less."""
        self._log = log
        self._pool = pool
        self._fresh = fresh
        self._deadline_s = deadline_s

    @asynccontextmanager
    async def view(
        self, as_of: AsOf, consistency: read_pb2.Consistency, context: Context
    ) -> AsyncIterator[View]:
        """A view for one query, at the moment that it asks for.

        Raises DeadlineExceeded when the projection does not get there in time.
        """
        at = Moment.of(as_of)
        check_consistency(consistency)
        if at.position is None and consistency == read_pb2.CONSISTENCY_EVENTUAL:
            async with pinned(self._pool) as connection, _transaction(connection):
                yield View(connection, at)
            return
        async with self.connection(at.position, self.left_s(context)) as connection, _transaction(connection):
            yield View(connection, at)

    def left_s(self, context: Context) -> float:
        """How long an answer may wait."""
        left_s: float | None = context.time_remaining()  # None: the caller sets no deadline
        return self._deadline_s if left_s is None else min(self._deadline_s, left_s)

    @asynccontextmanager
    async def view_at(self, at: Moment) -> AsyncIterator[View]:
        """A view of a position of the log."""
        async with self.connection(at.position) as connection, _transaction(connection):
            yield View(connection, at)

    @asynccontextmanager
    async def connection(
        self, position: int | None = None, left_s: float | None = None
    ) -> AsyncIterator[Connection]:
        """A connection that sees the log up to a position, by default up to its end now."""
        deadline_s = self._deadline_s if left_s is None else left_s
        if position is None:
            async with self._fresh.connection([STREAM], deadline_s) as connection:
                yield connection
            return
        targets = {STREAM: position}
        if not self._fresh.at_once(targets):
            last = await self._log.last_position(STREAM)
            if position > last:
                raise Invalid(f"the log ends at {last}, before {position}", field="as_of.position")
        async with self._fresh.connection_at(targets, deadline_s) as connection:
            yield connection


_CONSISTENCIES = frozenset(read_pb2.Consistency.values())


def check_consistency(consistency: read_pb2.Consistency) -> None:
    if consistency not in _CONSISTENCIES:
        raise Invalid(f"{consistency} is no consistency", field="consistency")


def _transaction(connection: Connection):  # type: ignore[no-untyped-def]
    """Several statements, one state."""
    return connection.transaction(isolation="repeatable_read", readonly=True)
