"""A role's connections, and what readiness says of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from rekam_runtime.archive import ArchivedLog
from rekam_runtime.blobs.s3 import S3Store
from rekam_runtime.blobs.settings import S3Settings
from rekam_runtime.errors import Retry
from rekam_runtime.eventlog.jetstream import JetStreamLog
from rekam_runtime.eventlog.port import EventLog, StreamSpec
from rekam_runtime.postgres import Pool, acquire, connect_pool, pending
from rekam_runtime.roles.settings import MigrateSettings, RoleSettings


@asynccontextmanager
async def connected(
    settings: RoleSettings, name: str, connections: int, streams: Iterable[StreamSpec]
) -> AsyncIterator[tuple[JetStreamLog, Pool]]:
    """The log, with the streams there, and the database.

    name: what the log and Postgres call this process.
    """
    log = await JetStreamLog.connect(settings.nats_url.reveal(), name)
    try:
        for stream in streams:
            await log.ensure(stream)
        pool = await connect_pool(settings.postgres_url.reveal(), max_size=connections, application_name=name)
        try:
            yield log, pool
        finally:
            await pool.close()
    finally:
        await log.close()


@asynccontextmanager
async def archived(log: EventLog, settings: S3Settings) -> AsyncIterator[EventLog]:
    """The log with its archive, if there is one."""
    if not settings.s3_bucket:
        yield log
        return
    store = S3Store(settings)
    try:
        yield ArchivedLog(log, store)
    finally:
        await store.close()


async def rebuild_pool(
    settings: MigrateSettings, name: str, connections: int
) -> AbstractAsyncContextManager[Pool]:
    """For rebuilds: their statements take as long as they take, and see another generation."""
    return await connect_pool(
        settings.postgres_url.reveal(), max_size=connections, application_name=name, statement_s=None
    )


def log_faults(log: JetStreamLog) -> list[str]:
    return [] if log.connected else ["the event log is not connected"]


async def database_faults(pool: Pool, package: str) -> list[str]:
    """package: where the migrations are."""
    try:
        async with acquire(pool) as connection:
            lacking = await pending(connection, package)
    except Retry as error:
        return [error.message]
    return [f"the database lacks {', '.join(lacking)}"] if lacking else []
