"""Which failures speak against the data that was written, and not against anything around it."""

from __future__ import annotations

import asyncpg

from rekam_runtime.errors import RekamError, Retry
from rekam_runtime.postgres.pool import retry_of

_BY_DATA = (
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    # A value that no index row takes.
    asyncpg.ProgramLimitExceededError,
)


def blames_data(error: Exception) -> bool:
    """True when the same data would fail again; False when the place, the schema or the moment is at fault.

    What is neither the driver's nor a Retry comes from the code that reads the data
    (a ValueError, a KeyError, a Quarantine) and speaks against the data too.
    """
    if isinstance(error, RekamError):
        return not isinstance(error, Retry)
    if isinstance(error, _BY_DATA):
        return True
    if isinstance(error, (asyncpg.PostgresError, MemoryError)):
        return False
    return retry_of(error) is None
