"""Reading the projection: a connection, once it has what the reader must see."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager

from rekam_proto.tracking.v1 import read_pb2
from rekam_runtime.errors import Invalid, NotFound
from rekam_runtime.eventlog.shards import points_stream, shard_of
from rekam_runtime.postgres import Connection, Pool, Statements, pinned
from rekam_runtime.projection import FreshReads
from rekam_tracking import rules
from rekam_tracking.events import STREAM
from rekam_tracking.requests import Context

_statements = Statements.load("rekam_tracking", "reads.sql")


class Reads:
    """Gives queries a connection that sees every write acknowledged before, or what is there now."""

    def __init__(self, pool: Pool, fresh: FreshReads, *, points_shards: int, deadline_s: float) -> None:
        """deadline_s: how long a strong read waits at most, when its caller does not say less."""
        self._pool = pool
        self._fresh = fresh
        self._shards = points_shards
        self._deadline_s = deadline_s

    def points_of(self, run_ids: Iterable[str]) -> set[str]:
        """Streams that have the points of these runs."""
        return {points_stream(shard_of(bytes.fromhex(run_id), self._shards)) for run_id in run_ids}

    def all_points(self) -> set[str]:
        return {points_stream(shard) for shard in range(self._shards)}

    @asynccontextmanager
    async def connection(
        self,
        consistency: read_pb2.Consistency,
        context: Context,
        points: Iterable[str] = (),
    ) -> AsyncIterator[Connection]:
        """A connection for one query over what the control stream and these points streams say.

        Raises DeadlineExceeded when the projection does not get there in time.
        """
        if consistency not in read_pb2.Consistency.values():
            raise Invalid(f"{consistency} is no consistency", field="consistency")
        if consistency == read_pb2.CONSISTENCY_EVENTUAL:
            async with pinned(self._pool) as connection:
                yield connection
            return
        left_s: float | None = context.time_remaining()  # None: the caller sets no deadline
        deadline_s = self._deadline_s if left_s is None else min(self._deadline_s, left_s)
        async with self._fresh.connection({STREAM, *points}, deadline_s) as connection:
            yield connection

    @asynccontextmanager
    async def of_runs(
        self,
        run_ids: Sequence[str],
        field: str,
        consistency: read_pb2.Consistency,
        context: Context,
        *,
        pass_missing: bool = False,
    ) -> AsyncIterator[Connection]:
        """A connection for one query over what the points streams say of these runs.

        field: of the request. Raises Invalid for what is no run's id, NotFound for a run that
        does not exist, unless those are passed over.
        """
        for index, run_id in enumerate(run_ids):
            rules.run_id(run_id, field if field == "run_id" else f"{field}[{index}]")
        async with self.connection(consistency, context, self.points_of(run_ids)) as connection:
            if not pass_missing:
                missing = await connection.fetchval(_statements.missing_run, run_ids)
                if missing is not None:
                    raise NotFound(f"Run with id={missing.hex} not found", field=field)
            yield connection
