"""The only module that builds adapters: what the roles are made of, from their settings."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from rekam_artifacts.settings import ServeSettings
from rekam_runtime.errors import Retry
from rekam_runtime.eventlog.jetstream import JetStreamLog
from rekam_runtime.eventlog.port import StreamSpec
from rekam_runtime.postgres import Pool, Statements, acquire, connect_pool, pending, pinned
from rekam_runtime.rpc.server import Service

STREAM = "REKAM_ARTIFACTS"
SUBJECTS = ("rekam.artifacts.>",)
_statements = Statements.load("rekam_artifacts", "position.sql")


@dataclass(frozen=True, slots=True)
class Role:
    """The serve role's parts, connected."""

    log: JetStreamLog
    pool: Pool
    services: tuple[Service, ...] = ()

    async def missing(self) -> list[str]:
        """What is not ready, as text."""
        found = [] if self.log.connected else ["the event log is not connected"]
        try:
            async with acquire(self.pool) as connection:
                if lacking := await pending(connection, "rekam_artifacts"):
                    found.append(f"the database lacks {', '.join(lacking)}")
        except Retry as error:
            found.append(error.message)
        return found

    async def reset(self) -> None:
        """Take the end of the emptied log as what is projected."""
        last = await self.log.last_position(STREAM)
        async with pinned(self.pool) as connection:
            await connection.execute(_statements.take_position, STREAM, last)


@asynccontextmanager
async def serving(settings: ServeSettings) -> AsyncIterator[Role]:
    async with AsyncExitStack() as stack:
        log = await JetStreamLog.connect(settings.nats_url.reveal(), "rekam-artifacts serve")
        stack.push_async_callback(log.close)
        await log.ensure(StreamSpec(STREAM, SUBJECTS, replicas=settings.stream_replicas))
        pool = await connect_pool(
            settings.postgres_url.reveal(), max_size=8, application_name="rekam-artifacts serve"
        )
        stack.push_async_callback(pool.close)
        yield Role(log, pool)
