"""Many ended runs straight into the tracking database, for figures about searches alone.

Logging 100,000 runs through the front door would measure something else and take minutes.
The rows are a function of the run's number, so every fill of one size is the same.
"""

from __future__ import annotations

import asyncio
import sys

from rekam_runtime.postgres import Statements, connect_pool

# A metric with values evenly over 0 to 1, a few of them NaN; a tag with text of its own in
# every run, every hundredth with the word "needle".
METRIC = "m0"
TAG = "note"

_RUNS_PER_STATEMENT = 20_000
_statements = Statements.load("bench", "search_data.sql")


def load_runs(url: str, runs: int, live: int = 0) -> str:
    """Fill a new experiment: `runs` ended runs, and `live` more that are still being written."""
    return asyncio.run(fill(url, runs, live))


async def fill(url: str, runs: int, live: int = 0) -> str:
    """As load_runs; answers the experiment's id."""
    experiment_id = 1_000_000 + runs
    pool = await connect_pool(url, application_name="rekam bench")
    try:
        async with pool.acquire() as connection:
            await connection.execute(_statements.experiment, experiment_id)
            await connection.execute(_statements.metric_keys)
            last = runs + live
            for first in range(1, last + 1, _RUNS_PER_STATEMENT):
                numbers = (first, min(last, first + _RUNS_PER_STATEMENT - 1))
                for statement in (_statements.runs, _statements.params, _statements.tags):
                    await connection.execute(statement, experiment_id, *numbers)
            for first in range(1, runs + 1, _RUNS_PER_STATEMENT):
                numbers = (first, min(runs, first + _RUNS_PER_STATEMENT - 1))
                await connection.execute(_statements.metrics, experiment_id, *numbers)
            if live:
                await connection.execute(_statements.live_metrics, experiment_id, runs + 1, last)
            # What autovacuum does within a minute.
            await connection.execute(_statements.analyze)
    finally:
        await pool.close()
    return str(experiment_id)


if __name__ == "__main__":
    print(load_runs(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 0))
