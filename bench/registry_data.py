"""Many models and versions straight into the registry's database, for figures about searches alone.

A million registrations through the front door take the better part of an hour. The rows are a function of the
model's and the version's number, so every fill is the same.
"""

from __future__ import annotations

import asyncio

from rekam_runtime.postgres import Statements, connect_pool, pinned

MODELS = 10_000
VERSIONS = 1_000_000

_MODELS_PER_STATEMENT = 2_500
_statements = Statements.load("bench", "registry_data.sql")


def load_versions(url: str) -> None:
    asyncio.run(_fill(url))


async def _fill(url: str) -> None:
    pool = await connect_pool(url, application_name="rekam bench")
    try:
        async with pinned(pool) as connection:
            for first in range(0, MODELS, _MODELS_PER_STATEMENT):
                for fill in (
                    _statements.models,
                    _statements.model_tags,
                    _statements.versions,
                    _statements.version_states,
                    _statements.version_tags,
                    _statements.aliases,
                ):
                    await connection.execute(fill, first, first + _MODELS_PER_STATEMENT - 1)
            # What autovacuum does within a minute.
            await connection.execute(_statements.analyze)
    finally:
        await pool.close()
