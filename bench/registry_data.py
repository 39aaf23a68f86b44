"""Many models and versions straight into the registry's database, for figures about searches alone.

A million registrations through the front door would take half an hour. The rows are a function of the numbers
of the model and of the version, so every fill is the same, and it is known what a search must find.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from hashlib import md5

from rekam_runtime.postgres import Statements, connect_pool, pinned

MODELS = 10_000
VERSIONS = 1_000_000
# Model 77, of the group "language", and its version 50.
NAME, RUN_ID = "language-00077", md5(b"run 77/50").hexdigest()
# Microseconds; before the later half of the versions.
HALF_US = 1_700_000_000_000_000 + 500_000 * 1_000_000


@dataclass(frozen=True)
class Search:
    """What is searched, and how many it must find on a page of 100.

    skipped: pages of 10,000 before the one that is measured.
    """

    filter: str = ""
    order_by: tuple[str, ...] = ()
    found: int = 100
    of_models: bool = False
    as_of_us: int = 0
    skipped: int = 0


# As MLflow's client says it of models, always.
_NO_PROMPTS = "tag.`mlflow.prompt.is_prompt` != 'true'"
SEARCHES = {
    "latest": Search(),
    "deep_page": Search(skipped=10),
    "name": Search(f"name = '{NAME}'", ("version_number DESC",)),
    "large_model": Search("name = 'vision-00000'"),
    "name_like": Search("name LIKE '%-00077'"),
    "run_id": Search(f"run_id = '{RUN_ID}'", found=1),
    "tag_few": Search("tag.build = 'build-77.50'", found=1),
    "tag_many": Search("tag.validation = 'failed'"),
    "tag_like": Search("tag.build LIKE '%77.50'"),
    "stage": Search("current_stage = 'Production'"),
    "stage_and_tag": Search("current_stage = 'Production' AND tag.validation = 'failed'"),
    "source": Search(f"source_path = 's3://models/37/{RUN_ID}/artifacts/model'", found=1),
    "source_begins": Search(f"source_path LIKE 's3://models/37/{RUN_ID}%'", found=1),
    "source_like_few": Search(f"source_path LIKE '%{RUN_ID}%'", found=1),
    "source_like_many": Search("source_path LIKE '%models/37/%'"),
    "source_like_none": Search("source_path LIKE '%nowhere%'", found=0),
    "number": Search("version_number = 9999", found=1),
    "by_number": Search("", ("version_number DESC",)),
    "as_of": Search(as_of_us=HALF_US),
    "as_of_name": Search(f"name = '{NAME}'", as_of_us=HALF_US, found=49),
    "models": Search(_NO_PROMPTS, of_models=True),
    "models_latest": Search(_NO_PROMPTS, ("last_updated_timestamp DESC",), of_models=True),
    "models_name_like": Search(f"{_NO_PROMPTS} AND name LIKE '%-00077%'", found=1, of_models=True),
    "models_tag_few": Search(f"{_NO_PROMPTS} AND tag.ticket = 'ML-77'", found=1, of_models=True),
    "models_tag_many": Search(f"{_NO_PROMPTS} AND tag.team = 'vision'", of_models=True),
}

_MODELS_PER_STATEMENT = 2_500
_statements = Statements.load("bench", "registry_data.sql")


def load_versions(url: str) -> None:
    asyncio.run(_fill(url))


async def _fill(url: str) -> None:
    pool = await connect_pool(url, application_name="rekam bench", statement_s=None)
    try:
        async with pinned(pool) as connection:
            # Built again at the end, in a tenth of the time that it takes to keep them.
            indexes = await connection.fetch(_statements.text_indexes)
            for index in indexes:
                await connection.execute(f"DROP INDEX {index['indexname']}")
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
            for index in indexes:
                await connection.execute(index["indexdef"])
            # What autovacuum does within a minute.
            await connection.execute(_statements.analyze)
    finally:
        await pool.close()
