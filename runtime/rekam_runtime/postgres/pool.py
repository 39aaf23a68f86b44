"""Connections to Postgres: a pool, and its failures as errors of ours."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from rekam_runtime.errors import FailedPrecondition, RekamError, Retry

if TYPE_CHECKING:
    Pool: TypeAlias = asyncpg.Pool[asyncpg.Record]
    # A connection of its own or one lent by a pool: both do the same.
    Connection: TypeAlias = asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]
    OwnConnection: TypeAlias = asyncpg.Connection[asyncpg.Record]
else:
    Pool = asyncpg.Pool
    Connection = asyncpg.Connection | PoolConnectionProxy
    OwnConnection = asyncpg.Connection
Row: TypeAlias = asyncpg.Record
_T = TypeVar("_T")

_CONNECT_TIMEOUT_S = 5.0
_ACQUIRE_TIMEOUT_S = 10.0
_STATEMENT_TIMEOUT_S = 60.0
# Per connection; every statement of a service fits.
_CACHED_STATEMENTS = 256
_PAUSE_S = 0.1

# The server is gone, going, starting or full, or a race between transactions was lost.
_PASSING = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.LockNotAvailableError,
)
# Waiting does not help: the database, the role or the password is another.
_WRONG_ADDRESS = (
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.ClientConfigurationError,
    ssl.SSLError,
)


def retry_of(error: BaseException) -> Retry | None:
    """The driver's error as a Retry when the same work may succeed later, else None."""
    # A ClientConfigurationError is an InterfaceError, an SSLError an OSError; neither passes.
    if isinstance(error, _PASSING) and not isinstance(error, _WRONG_ADDRESS):
        return Retry(f"Postgres cannot be used now: {type(error).__name__}: {error}")
    return None


@asynccontextmanager
async def acquire(pool: Pool) -> AsyncIterator[Connection]:
    """A connection of the pool; raises Retry when there is none or it breaks in use."""
    try:
        async with pool.acquire(timeout=_ACQUIRE_TIMEOUT_S) as connection:
            yield connection
    except RekamError:
        raise
    except Exception as error:
        retry = retry_of(error)
        if retry is None:
            raise
        raise retry from error


async def connect_pool(
    url: str,
    *,
    min_size: int = 1,
    max_size: int = 8,
    application_name: str,
    wait_s: float = 15.0,
    statement_s: float | None = _STATEMENT_TIMEOUT_S,
) -> Pool:
    """Open a pool; waits up to wait_s for a server that is starting, then raises Retry.

    statement_s: how long a statement may take; None: as long as it takes.
    """

    async def open_pool() -> Pool:
        return await asyncpg.create_pool(
            url,
            min_size=min_size,
            max_size=max_size,
            timeout=_CONNECT_TIMEOUT_S,
            command_timeout=statement_s,
            statement_cache_size=_CACHED_STATEMENTS,
            max_cached_statement_lifetime=0,
            server_settings=_server_settings(application_name),
        )

    return await _persistently(open_pool, wait_s)


async def connect(url: str, *, application_name: str, wait_s: float = 15.0) -> OwnConnection:
    """Open one connection, without a limit on how long a statement takes; else as connect_pool."""

    async def open_connection() -> OwnConnection:
        return await asyncpg.connect(
            url, timeout=_CONNECT_TIMEOUT_S, server_settings=_server_settings(application_name)
        )

    return await _persistently(open_connection, wait_s)


def _server_settings(application_name: str) -> dict[str, str]:
    # Compiling a statement takes longer than running it here.
    return {"application_name": application_name, "jit": "off", "timezone": "UTC"}


async def _persistently(attempt: Callable[[], Awaitable[_T]], wait_s: float) -> _T:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + wait_s
    while True:
        try:
            return await attempt()
        except _WRONG_ADDRESS as error:
            raise FailedPrecondition(f"Postgres: {type(error).__name__}: {error}") from None
        except ValueError as error:
            # The driver quotes the URL, and with it the password.
            raise FailedPrecondition("Postgres: the URL cannot be read") from error
        except _PASSING as error:
            if loop.time() + _PAUSE_S > deadline:
                raise Retry(
                    f"Postgres cannot be reached within {wait_s:g} s: {type(error).__name__}: {error}"
                ) from error
        await asyncio.sleep(_PAUSE_S)
