"""Rows straight into a peer's database: copies of one that the peer wrote itself, with other values.

Both peers have MLflow's tables, and columns of their own beside; what is not named here is copied.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

import asyncpg

# Hex digits of a number, as a run id.
_RUN_ID = "md5(n::text)"
_UNIT = "abs(hashint8(n) % 1000003) / 1000003.0"


@dataclass(frozen=True)
class Filling:
    """A peer's database."""

    url: str

    def copy_metric(self, run_id: str, key: str, points: int) -> None:
        """Points with steps 1 to points - 1 beside the one with step 0."""
        changes = {"step": "n", "timestamp": "timestamp + n", "value": "n * 0.5", "iter": "n"}
        source = f"metrics WHERE run_uuid = '{run_id}' AND key = '{key}'"
        asyncio.run(self._copy("metrics", source, points - 1, changes))

    def copy_run(self, run_id: str, runs: int) -> None:
        """Runs with its params, tags and metrics; metric values evenly over 0 to 1, params of 1,000 kinds."""

        async def copy() -> None:
            own = {"run_uuid": _RUN_ID, "name": "'run-' || n", "row_num": "1000000 + n"}
            await self._copy("runs", f"runs WHERE run_uuid = '{run_id}'", runs, own)
            for table, changes in (
                (
                    "params",
                    {"value": "(hashint8(n) % 1000)::text", "value_str": "(hashint8(n) % 1000)::text"},
                ),
                ("tags", {"value": "'text ' || n"}),
                ("latest_metrics", {"value": _UNIT}),
                ("metrics", {"value": _UNIT}),
            ):
                source = f"{table} WHERE run_uuid = '{run_id}'"
                await self._copy(table, source, runs, {"run_uuid": _RUN_ID, **changes})

        asyncio.run(copy())

    async def _copy(self, table: str, source: str, times: int, changes: Mapping[str, str]) -> None:
        connection = await asyncpg.connect(self.url)
        try:
            rows = await connection.fetch(
                "SELECT column_name FROM information_schema.columns"
                " WHERE table_schema = 'public' AND table_name = $1 AND is_generated = 'NEVER'",
                table,
            )
            columns = [f'"{row[0]}"' for row in rows]
            values = [changes.get(row[0], f'"{row[0]}"') for row in rows]
            # The names are the database's own, the rest is of this module.
            await connection.execute(
                f"INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(values)}"
                f" FROM generate_series(1, {times}) n, LATERAL (SELECT * FROM {source}) copied"
            )
            await connection.execute(f"ANALYZE {table}")
        finally:
            await connection.close()
