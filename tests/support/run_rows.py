"""Runs as rows of the tracking database, and what a search must say of them, the slow way.

The reference knows nothing of SQL: three-valued conditions over Python values, and an
order built by stable sorts, last term first.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from rekam_proto.tracking.v1 import read_pb2, run_pb2
from rekam_runtime.filtering import And, Comparison, Filter, Not, Operator, Or, OrderTerm, Reference
from rekam_runtime.postgres import Connection, connect_pool, migrate

Cell = str | int | float | None
RowT = TypeVar("RowT")


@dataclass
class Point:
    step: int
    time_us: int
    values: Mapping[str, float]


@dataclass
class RunRow:
    number: int
    experiment_id: int = 1
    name: str = "run"
    user: str = ""
    status: str = "FINISHED"
    start_ms: int | None = 1_000
    end_ms: int | None = None
    lifecycle: int = 0
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    # Settled values, one point per key.
    settled: list[Point] = field(default_factory=list)
    # One point per key set.
    live: list[Point] = field(default_factory=list)
    # Digest and context by name.
    datasets: dict[str, tuple[str, str | None]] = field(default_factory=dict)

    @property
    def run_id(self) -> str:
        # Spread over the whole range, so that ids do not sort like numbers.
        return uuid.uuid5(uuid.NAMESPACE_OID, str(self.number)).hex

    @property
    def artifact_uri(self) -> str:
        return f"x:/{self.experiment_id}/{self.number}"

    def latest(self) -> dict[str, float]:
        # NaN counts as 0 and gives way to a 0.
        best: dict[str, tuple[int, int, float, bool, float]] = {}
        for point in [*self.settled, *self.live]:
            for key, value in point.values.items():
                nan = math.isnan(value)
                candidate = (point.step, point.time_us, 0.0 if nan else value, not nan, value)
                if key not in best or candidate[:4] > best[key][:4]:
                    best[key] = candidate
        return {key: value for key, (_, _, _, _, value) in best.items()}

    def cell(self, reference: Reference) -> Cell:
        if reference.entity == "metric":
            return self.latest().get(reference.key)
        if reference.entity != "attribute":
            return (self.params if reference.entity == "param" else self.tags).get(reference.key)
        cells: dict[str, Cell] = {
            "run_id": self.run_id,
            "run_name": self.name,
            "status": self.status,
            "user_id": self.user,
            "artifact_uri": self.artifact_uri,
            "start_time": self.start_ms,
            "end_time": self.end_ms,
        }
        return cells[reference.key]

    def dataset_cells(self, key: str) -> list[Cell]:
        """What the datasets that it read have there."""
        cells: list[Cell] = []
        for name, (digest, context) in self.datasets.items():
            cells.append({"name": name, "digest": digest, "context": context}[key])
        return cells


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Connection]:
    """A connection to the migrated database."""
    await migrate(url, "rekam_tracking")
    pool = await connect_pool(url, application_name="test", max_size=1)
    try:
        async with pool.acquire() as connection:
            yield connection
    finally:
        await pool.close()


async def insert(connection: Connection, runs: Sequence[RunRow]) -> None:
    for run in runs:
        id = uuid.UUID(run.run_id)
        await connection.execute(
            "INSERT INTO runs (run_id, experiment_id, name, user_name, status, start_ms, end_ms, lifecycle,"
            " artifact_uri) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            id,
            run.experiment_id,
            run.name,
            run.user,
            run_pb2.RunStatus.Value(f"RUN_STATUS_{run.status}"),
            run.start_ms,
            run.end_ms,
            run.lifecycle,
            run.artifact_uri,
        )
        for table, values in (("params", run.params), ("tags", run.tags)):
            await connection.executemany(
                f"INSERT INTO {table} (run_id, key, value) VALUES ($1, $2, $3)",
                [(id, key, value) for key, value in values.items()],
            )
        for name, (digest, context) in run.datasets.items():
            await connection.execute(
                "INSERT INTO datasets VALUES ($1, $2, $3, 'local', '', '', '') ON CONFLICT DO NOTHING",
                run.experiment_id,
                name,
                digest,
            )
            await connection.execute(
                "INSERT INTO dataset_inputs VALUES ($1, $2, $3, $4, $5, $6, $7)",
                id,
                name,
                digest,
                run.experiment_id,
                context,
                [] if context is None else ["mlflow.data.context"],
                [] if context is None else [context],
            )
        for point in run.settled:
            for key, value in point.values.items():
                await connection.execute(
                    "INSERT INTO metric_latest VALUES ($1, $2, $3, $4, $5)",
                    id,
                    await _key_id(connection, key),
                    value,
                    point.step,
                    point.time_us,
                )
        for point in run.live:
            await connection.execute(
                "INSERT INTO metric_live VALUES ($1, $2, $3, $4, $5)",
                id,
                await _key_set_id(connection, list(point.values)),
                point.step,
                point.time_us,
                list(point.values.values()),
            )


async def _key_id(connection: Connection, key: str) -> int:
    await connection.execute("INSERT INTO metric_keys (key) VALUES ($1) ON CONFLICT DO NOTHING", key)
    found: int = await connection.fetchval("SELECT key_id FROM metric_keys WHERE key = $1", key)
    return found


async def _key_set_id(connection: Connection, keys: Sequence[str]) -> int:
    hash = repr(keys).encode()
    ids = [await _key_id(connection, key) for key in keys]
    await connection.execute(
        "INSERT INTO key_sets (hash, key_ids) VALUES ($1, $2) ON CONFLICT DO NOTHING", hash, ids
    )
    found: int = await connection.fetchval("SELECT key_set_id FROM key_sets WHERE hash = $1", hash)
    await connection.executemany(
        "INSERT INTO key_set_columns VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        [(id, found, index) for index, id in enumerate(ids)],
    )
    return found


def expected(
    runs: Sequence[RunRow],
    experiments: Sequence[int],
    view: read_pb2.LifecycleView,
    tree: Filter | None,
    order: Sequence[OrderTerm],
) -> list[str]:
    """Ids of the runs that a search must find, in order."""
    lifecycles = {read_pb2.LIFECYCLE_VIEW_ACTIVE: {0}, read_pb2.LIFECYCLE_VIEW_DELETED: {1}}.get(view, {0, 1})
    found = [
        run
        for run in runs
        if run.experiment_id in experiments
        and run.lifecycle in lifecycles
        and (tree is None or _holds(run, tree) is True)
    ]
    found.sort(key=lambda run: run.run_id)
    if all(term.reference.key != "start_time" for term in order):
        sort_by_cells(found, [run.start_ms for run in found], descending=True)
    for term in reversed(order):
        sort_by_cells(found, [run.cell(term.reference) for run in found], term.descending)
    return [run.run_id for run in found]


def sort_by_cells(rows: list[RowT], cells: list[Cell], descending: bool) -> None:
    """Values, then NaN, then missing; equal ones stay as they stand."""
    values = sorted({cell for cell in cells if cell is not None and cell == cell}, key=_comparable)
    rank = {value: len(values) - index if descending else index for index, value in enumerate(values)}
    ranks = [(2, 0) if cell is None else (1, 0) if cell != cell else (0, rank[cell]) for cell in cells]
    rows[:] = [row for _, row in sorted(zip(ranks, rows, strict=True), key=lambda pair: pair[0])]


def _comparable(cell: Cell) -> float | bytes:
    return cell.encode() if isinstance(cell, str) else float(cell or 0)


def _holds(run: RunRow, tree: Filter, *, negated: bool = False) -> bool | None:
    """negated: within an odd number of NOTs."""
    match tree:
        case Not(term):
            held = _holds(run, term, negated=not negated)
            return None if held is None else not held
        case And(terms):
            return _any_of([_holds(run, term, negated=negated) for term in terms], decisive=False)
        case Or(terms):
            return _any_of([_holds(run, term, negated=negated) for term in terms], decisive=True)
        case Comparison(reference, operator, value) if reference.entity == "dataset":
            # NOT is of the condition, which any dataset may meet, and not of "any".
            asked = operator.negated if negated else operator
            met = any(compare(cell, asked, value) for cell in run.dataset_cells(reference.key))
            return met != negated
        case Comparison(reference, operator, value):
            return compare(run.cell(reference), operator, value)


def _any_of(values: Sequence[bool | None], *, decisive: bool) -> bool | None:
    return decisive if decisive in values else None if None in values else not decisive


def compare(cell: Cell, operator: Operator, value: object) -> bool | None:
    if operator in (Operator.IS_NULL, Operator.IS_NOT_NULL):
        return (cell is None) == (operator is Operator.IS_NULL)
    if cell is None:
        return None
    if isinstance(cell, str):
        if operator in (Operator.NOT_LIKE, Operator.NOT_ILIKE):
            held = compare(cell, operator.negated, value)
            return None if held is None else not held
        if operator in (Operator.IN, Operator.NOT_IN):
            return (cell in value) == (operator is Operator.IN)  # type: ignore[operator]
        assert isinstance(value, str)
        if operator is Operator.LIKE:
            return _like(cell, value)
        if operator is Operator.ILIKE:
            return _like(_folded(cell), _folded(value))
        return (cell == value) == (operator is Operator.EQ)
    assert isinstance(value, int | float)
    if cell != cell and operator not in (Operator.EQ, Operator.NE):
        # NaN is neither above nor below anything.
        return None
    return {
        Operator.EQ: cell == value,
        Operator.NE: cell != value,
        Operator.LT: cell < value,
        Operator.LE: cell <= value,
        Operator.GT: cell > value,
        Operator.GE: cell >= value,
    }[operator]


def _like(text: str, pattern: str) -> bool:
    if not pattern:
        return not text
    if pattern[0] == "%":
        return any(_like(text[start:], pattern[1:]) for start in range(len(text) + 1))
    return bool(text) and pattern[0] in ("_", text[0]) and _like(text[1:], pattern[1:])


def _folded(text: str) -> str:
    return "".join(character.lower() if character.isascii() else character for character in text)
