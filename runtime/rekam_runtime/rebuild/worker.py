"""The work of a rebuild, by whichever replica has the lease for it.

Whatever it is interrupted by (a kill, a pause, an outage), it goes on from the row that says how far
it is and the positions in the tables: every step can be done again.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import structlog

from rekam_runtime.errors import Retry
from rekam_runtime.eventlog.port import EventLog
from rekam_runtime.postgres import Connection, Pool, Row, acquire, generations, retry_of
from rekam_runtime.postgres.migrating import migrate_generation
from rekam_runtime.process import beside
from rekam_runtime.projection.quarantine import copy_decisions
from rekam_runtime.rebuild import requests
from rekam_runtime.rebuild.comparing import Difference, differences
from rekam_runtime.rebuild.plan import Plan
from rekam_runtime.rebuild.requests import statements
from rekam_runtime.rebuild.stream import StreamRebuild

LOOK_EVERY_S = 0.3
_SAMPLE_EVERY_S = 0.5
# A rate is that of so many samples.
_SAMPLES = 20
# Caught up: what came while the last round was applied takes less than this.
_CLOSE_S = 0.5
# Writers wait so long at most; then it lets them go on and catches up again.
_FENCED_S = 2.0
_SHOWN_DIFFERENCES = 100

_log = structlog.get_logger(__name__)


class Rebuilder:
    """Does the rebuilds that are asked for, one after the other, and removes retired generations.

    pool: for the rebuild alone: it has a connection for each stream and three more.
    retired_kept_s: how long a generation is kept after a switch, for readers that are still in it.
    """

    def __init__(self, log: EventLog, pool: Pool, plan: Plan, *, retired_kept_s: float = 300.0) -> None:
        self._events = log
        self._pool = pool
        self._plan = plan
        self._retired_kept_s = retired_kept_s

    async def run(self) -> None:
        """Until cancelled, which is safe at any moment."""
        while True:
            try:
                async with acquire(self._pool) as connection:
                    row = await connection.fetchrow(statements.going_on)
                    await self._drop_retired(connection)
                if row is not None:
                    await self._obey(row)
            except Retry as error:
                _log.warning("rebuild.waits", reason=error.message)
            await asyncio.sleep(LOOK_EVERY_S)

    async def _obey(self, row: Row) -> None:
        """Work on a rebuild until it has ended or is told to rest or end."""
        id = row["rebuild_id"]
        if row["cancelled"]:
            await self._end(id, "cancelled", "it was cancelled")
            return
        if row["paused"]:
            return
        working = asyncio.create_task(_Work(self._events, self._pool, self._plan, row).run())
        try:
            while not working.done():
                await asyncio.wait([working], timeout=LOOK_EVERY_S)
                async with acquire(self._pool) as connection:
                    row = (await requests.find(connection, id)).row
                if row["paused"] or row["cancelled"]:
                    return
        finally:
            working.cancel()
            await asyncio.wait([working])
        try:
            state, message = working.result()
        except Retry as error:
            async with acquire(self._pool) as connection:
                await connection.execute(statements.say, id, error.message)
            raise
        except Exception as error:  # told to who asked for it
            if retry := retry_of(error):
                raise retry from error
            _log.error("rebuild.failed", id=id, exc_info=error)
            state, message = "failed", f"{type(error).__name__}: {error}"
        if state != "done":
            await self._end(id, state, message)

    async def _end(self, id: int, state: str, message: str) -> None:
        """End it without a switch; what was built is removed."""
        async with acquire(self._pool) as connection, connection.transaction():
            row = await connection.fetchrow(statements.find, id)
            assert row is not None
            if row["generation"] is not None:
                await generations.drop(connection, row["generation"])
            await connection.execute(statements.finish, id, state, message)
        _log.info("rebuild.ended", id=id, state=state, reason=message)

    async def _drop_retired(self, connection: Connection) -> None:
        for number in await generations.retired(connection, self._retired_kept_s):
            async with connection.transaction():
                await generations.drop(connection, number)
            _log.info("rebuild.retired_dropped", generation=number)


class _Work:
    """One rebuild, from wherever it is to its end."""

    def __init__(self, log: EventLog, pool: Pool, plan: Plan, row: Row) -> None:
        self._events = log
        self._pool = pool
        self._plan = plan
        self._id: int = row["rebuild_id"]
        self._row = row
        self._generation = 0
        self._streams: dict[str, StreamRebuild] = {}

    async def run(self) -> tuple[str, str]:
        """The state that it ends in, and why."""
        self._generation = self._row["generation"] or await self._create()
        async with acquire(self._pool) as connection:
            await migrate_generation(connection, self._generation, self._plan.package)
            await generations.begin_filling(connection, self._generation)
            await generations.pin(connection)
            await copy_decisions(connection, self._generation)
        async with self._reading():
            if self._row["state"] != "switching":
                await self._reach("projecting")
                await self._catch_up()
                await self._reach("comparing")
                found = await self._compare()
                if found and not self._row["accept_differences"]:
                    return "different", f"{found} differences: readers keep the tables that they have"
                await self._reach("switching")
            await self._catch_up()
            await self._switch()
            return "done", ""

    async def _create(self) -> int:
        async with acquire(self._pool) as connection, connection.transaction():
            number = await generations.add(connection)
            await connection.execute(statements.assign, self._id, number)
        return number

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[None]:
        """Its streams, being followed; how fast it goes is noted meanwhile."""
        async with AsyncExitStack() as stack:
            for name, part in self._plan.parts().items():
                stream = StreamRebuild(
                    self._events,
                    self._pool,
                    self._plan.service,
                    name,
                    part,
                    generation=self._generation,
                    rebuild=self._id,
                )
                stack.push_async_callback(stream.close)
                async with acquire(self._pool) as connection:
                    await stream.start(connection)
                self._streams[name] = stream
            yield

    async def _reach(self, state: str) -> None:
        async with acquire(self._pool) as connection:
            await connection.execute(statements.reach, self._id, state, "")
        _log.info("rebuild.reached", id=self._id, state=state, generation=self._generation)

    async def _catch_up(self) -> None:
        """Apply what the active generation has, until it is only moments behind."""
        async with beside(self._note_progress()):
            while True:
                started = time.monotonic()
                async with acquire(self._pool) as connection:
                    targets = await self._targets(connection)
                    for name, target in targets.items():
                        await connection.execute(statements.aim, self._id, name, target)
                await self._advance(targets)
                if time.monotonic() - started < _CLOSE_S:
                    return

    async def _targets(self, connection: Connection) -> dict[str, int]:
        """Where the active generation is; the session sees that one afterwards."""
        positions = (await generations.pin(connection, list(self._streams))).positions
        return {name: positions.get(name, 0) for name in self._streams}

    async def _advance(self, targets: dict[str, int]) -> None:
        tasks = [asyncio.create_task(self._streams[name].advance(end)) for name, end in targets.items()]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def _compare(self) -> int:
        """How many owners differ, at one position of the log; notes the first of them."""
        started = time.monotonic()
        async with acquire(self._pool) as connection:
            await generations.see(connection, self._generation)
            await generations.end_filling(connection, self._generation)
            await self._plan.tidy(connection)
        async with _snapshot(self._pool) as active:
            await self._advance(await self._targets(active))
            async with _snapshot(self._pool) as rebuilt:
                await generations.see(rebuilt, self._generation)
                shown: list[Difference] = []
                count = 0
                async for difference in differences(active, rebuilt, self._plan.comparisons):
                    count += 1
                    if len(shown) < _SHOWN_DIFFERENCES:
                        shown.append(difference)
        async with acquire(self._pool) as connection:
            await connection.execute(statements.differs, self._id, count, _as_json(shown))
            await connection.execute(statements.compared, self._id, time.monotonic() - started)
        return count

    async def _switch(self) -> None:
        """Make it the active one, with everything that is written to the other."""
        async with acquire(self._pool) as connection, connection.transaction():
            await connection.execute(statements.fence)
            targets = await self._targets(connection)
            try:
                async with asyncio.timeout(_FENCED_S):
                    await self._advance(targets)
            except TimeoutError as error:
                raise Retry("the last records before the switch took too long: catching up again") from error
            await generations.activate(connection, self._generation)
            await connection.execute(statements.finish, self._id, "done", "")
        _log.info("rebuild.switched", id=self._id, generation=self._generation)

    async def _note_progress(self) -> None:
        """Positions are in the tables; here only how fast it goes, and how long that will take."""
        samples: deque[tuple[float, list[Row]]] = deque(maxlen=_SAMPLES)
        before = time.monotonic()
        while True:
            with suppress(Retry):
                async with acquire(self._pool) as connection:
                    now = time.monotonic()
                    samples.append((now, await connection.fetch(statements.streams, self._id)))
                    await connection.execute(statements.went_on, self._id, now - before, *_rates(samples))
                    before = now
            await asyncio.sleep(_SAMPLE_EVERY_S)


def _rates(samples: Sequence[tuple[float, Sequence[Row]]]) -> tuple[float | None, ...]:
    """Records, points and bytes a second, and the seconds that are left."""
    (begin, first), (end, last) = samples[0], samples[-1]
    seconds = end - begin
    if not seconds:
        return None, None, None, None
    records, points, size, moved = (
        (_sum(last, column) - _sum(first, column)) / seconds
        for column in ("records", "points", "bytes", "position")
    )
    grown = max(0.0, (_sum(last, "target") - _sum(first, "target")) / seconds)
    ahead = _sum(last, "target") - _sum(last, "position")
    left = ahead / (moved - grown) if moved > grown else None
    return records, points, size, left


def _sum(rows: Sequence[Row], column: str) -> int:
    return sum(row[column] for row in rows)


def _as_json(found: Sequence[Difference]) -> str:
    return json.dumps([(one.table, one.owner, one.active_rows, one.rebuilt_rows) for one in found])


@asynccontextmanager
async def _snapshot(pool: Pool) -> AsyncIterator[Connection]:
    """A connection that sees one moment, from its first statement on."""
    async with (
        acquire(pool) as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        yield connection
