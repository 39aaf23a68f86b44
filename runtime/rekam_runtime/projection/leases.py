"""Leases: of several replicas one does a piece of work, and another takes over when it is gone.

A lease is a row with an end, renewed several times before that. A replica that was killed, hangs,
or cannot reach Postgres does not renew: whoever looks next takes its work, and ends its sessions,
since a transaction that it left open would keep its rows locked. Nothing relies on a lease to be
right: a replica that goes on without one fails at the position's compare-and-set.

Every replica takes its fair share: the number of pieces over the number of replicas that are
there, rounded up. One that has more gives up some.
"""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from collections.abc import Callable, Coroutine, Mapping
from datetime import timedelta

import structlog

from rekam_runtime.errors import Retry
from rekam_runtime.postgres import Connection, Pool, Row, Statements, acquire

TERM_S = 1.5
_RENEW_EVERY_S = 0.25
_STOP_S = 2.0
_statements = Statements.load("rekam_runtime.projection", "leases.sql")
_log = structlog.get_logger(__name__)

Work = Callable[[], Coroutine[None, None, None]]


class Replica:
    """One process among those that share some work.

    name: in front of its sessions' name in Postgres.
    """

    def __init__(self, name: str) -> None:
        self.id = secrets.token_hex(4)
        self._name = name
        self._term = timedelta(seconds=TERM_S)
        self._working: dict[str, asyncio.Task[None]] = {}
        self._renewed_at = 0.0

    @property
    def application_name(self) -> str:
        """For this replica's sessions: by it they are found when it must be evicted."""
        return self._session_name(self.id)

    @property
    def held(self) -> set[str]:
        """Names of the work that it does now."""
        return set(self._working)

    @property
    def attending(self) -> bool:
        """Whether it takes part: it is ready, also when others do all the work."""
        return time.monotonic() - self._renewed_at < 3 * TERM_S

    async def share(self, pool: Pool, work: Mapping[str, Work]) -> None:
        """Do what is this replica's, until cancelled; work that ends by itself has failed."""
        try:
            while True:
                try:
                    async with acquire(pool) as connection:
                        await self._look(connection, work)
                        self._renewed_at = time.monotonic()
                except Retry as error:
                    _log.warning("leases.not_renewed", reason=error.message)
                await self._rest()
        finally:
            await self._stop(self.held)
            await self._leave(pool)

    async def _look(self, connection: Connection, work: Mapping[str, Work]) -> None:
        """Renew, give up what is too much or lost, take what is free."""
        await connection.execute(_statements.attend, self.id, self._term)
        held = {row["name"] for row in await connection.fetch(_statements.renew, self.id, self._term)}
        if lost := self.held - held:
            _log.warning("leases.lost", names=sorted(lost))
            await self._stop(lost)
        leases = {row["name"]: row for row in await connection.fetch(_statements.all)}
        fair = -(-len(work) // self._replicas(leases))
        if surplus := sorted(held)[fair:]:
            await self._stop(surplus)
            await connection.execute(_statements.release, self.id, surplus)
            held -= set(surplus)
        free = [name for name in work if name not in held and (name not in leases or leases[name]["expired"])]
        random.shuffle(free)
        for name in free:
            if len(held) >= fair:
                break
            if await connection.fetchval(_statements.take, name, self.id, self._term) is None:
                continue
            held.add(name)
            if name in leases and leases[name]["holder"] != self.id:
                await self._evict(connection, leases[name]["holder"])
        for name in held - self.held:
            _log.info("leases.taken", name=name)
            self._working[name] = asyncio.create_task(work[name](), name=name)

    def _replicas(self, leases: Mapping[str, Row]) -> int:
        """Those that are there."""
        own = f"replica {self.id}"
        others = [name for name in leases if name.startswith("replica ") and name != own]
        return 1 + sum(not leases[name]["expired"] for name in others)

    async def _evict(self, connection: Connection, holder: str) -> None:
        ended = await connection.fetchval(_statements.evict, self._session_name(holder))
        _log.warning("leases.taken_over", holder=holder, sessions_ended=ended)

    async def _rest(self) -> None:
        """Until the next look; raises what ended some work."""
        if not self._working:
            await asyncio.sleep(_RENEW_EVERY_S)
            return
        done, _ = await asyncio.wait(
            self._working.values(), timeout=_RENEW_EVERY_S, return_when=asyncio.FIRST_COMPLETED
        )
        for task in done:
            task.result()
            raise RuntimeError(f"{task.get_name()} ended by itself")

    async def _stop(self, names: set[str] | list[str]) -> None:
        tasks = [self._working.pop(name) for name in names if name in self._working]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=_STOP_S)

    async def _leave(self, pool: Pool) -> None:
        """Others need not wait for the end of the leases."""
        try:
            async with asyncio.timeout(_STOP_S), acquire(pool) as connection:
                leases = await connection.fetch(_statements.all)
                own = [lease["name"] for lease in leases if lease["holder"] == self.id]
                await connection.execute(_statements.release, self.id, own)
        except (Retry, TimeoutError):
            pass  # they end by themselves

    def _session_name(self, id: str) -> str:
        return f"{self._name} {id}"
