"""One batch into Postgres: rows and position in one transaction, poison set aside."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from rekam_runtime.errors import Retry
from rekam_runtime.eventlog.port import EventLog, Record
from rekam_runtime.postgres import Connection, Pool, Statements, acquire, generations
from rekam_runtime.postgres.blame import blames_data
from rekam_runtime.projection.quarantine import Poison, poison_of, set_aside

_statements = Statements.load("rekam_runtime.projection", "projection.sql")


class Apply(Protocol):
    """Writes records as rows; runs inside the projector's transaction."""

    async def __call__(self, connection: Connection, records: Sequence[Record], /) -> None:
        """Raises Quarantine, or whatever else speaks against a record, to have it set aside.

        May be called again with parts of the same records when it raised: all that it
        wrote before is rolled back then, and what it remembers of it must be too (see
        `rolled_back` of the projector).
        """
        ...


class Overtaken(Retry):
    """Somebody else moved the position or the generation: another projector, a reset or a rebuild."""


class BatchWriter:
    """Commits batches of one stream into one generation.

    building: number of the generation, one that is being built; None: whichever is active when
        the position is asked for.
    """

    def __init__(
        self,
        log: EventLog,
        pool: Pool,
        stream: str,
        service: str,
        apply: Apply,
        rolled_back: Callable[[], None],
        building: int | None = None,
    ) -> None:
        self._log = log
        self._pool = pool
        self._stream = stream
        self._service = service
        self._apply = apply
        self._rolled_back = rolled_back
        self._building = building
        self._generation = 0

    async def position(self) -> int:
        """Where the projection stands; 0 the first time."""
        async with acquire(self._pool) as connection:
            if self._building is None:
                self._generation = (await generations.pin(connection)).number
            else:
                self._generation = self._building
                await generations.see(connection, self._building)
            await connection.execute(_statements.start_at_zero, self._stream)
            position: int = await connection.fetchval(_statements.position, self._stream)
            return position

    async def commit(self, after: int, records: Sequence[Record], last: int | None = None) -> list[Poison]:
        """Apply records that follow `after`; answers those that were set aside instead.

        last: how far they reach, when nothing lies between the last of them and there.
        """
        position = records[-1].position if last is None else last
        async with acquire(self._pool) as connection:
            try:
                async with connection.transaction():
                    await self._move(connection, after, position)
                    await self._apply(connection, records)
                return []
            except BaseException as error:
                self._rolled_back()
                if not isinstance(error, Exception) or not blames_data(error):
                    raise
            try:
                async with connection.transaction():
                    await self._move(connection, after, position)
                    poisons = await self._apply_good(connection, records)
                    await set_aside(connection, self._log, self._service, self._stream, poisons)
                return poisons
            except BaseException:
                self._rolled_back()
                raise

    async def _move(self, connection: Connection, after: int, position: int) -> None:
        active = self._building is None
        await connection.execute(_statements.begin, generations.path_of(self._generation), active)
        state = "active" if active else "building"
        moved = await connection.fetchval(
            _statements.move, self._stream, after, position, self._generation, state
        )
        if moved is None:
            raise Overtaken(
                f"projection of {self._stream} is no longer at {after} of generation {self._generation}: "
                "somebody else moved it"
            )

    async def _apply_good(self, connection: Connection, records: Sequence[Record]) -> list[Poison]:
        """Apply all that can be applied, in order; halves the batch down to each poison record."""
        try:
            async with connection.transaction():  # a savepoint
                await self._apply(connection, records)
            return []
        except Exception as error:
            self._rolled_back()
            if not blames_data(error):
                raise
            if len(records) == 1:
                return [poison_of(records[0], error)]
        middle = len(records) // 2
        return [
            *await self._apply_good(connection, records[:middle]),
            *await self._apply_good(connection, records[middle:]),
        ]
