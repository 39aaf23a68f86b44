"""Runs as a pandas DataFrame, with the columns users know."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from rekam.entities import Run

if TYPE_CHECKING:
    import pandas


def has_pandas() -> bool:
    """Whether pandas is installed."""
    return find_spec("pandas") is not None


def runs_frame(runs: Sequence[Run]) -> pandas.DataFrame:
    """One row per run. Missing metrics are NaN, missing params and tags None, times UTC."""
    import pandas

    columns: dict[str, Any] = {
        "run_id": [run.info.run_id for run in runs],
        "experiment_id": [run.info.experiment_id for run in runs],
        "status": [run.info.status for run in runs],
        "artifact_uri": [run.info.artifact_uri for run in runs],
        "start_time": _times([run.info.start_time for run in runs]),
        "end_time": _times([run.info.end_time for run in runs]),
    }
    for prefix, missing, dicts in (
        ("metrics", float("nan"), [run.data.metrics for run in runs]),
        ("params", None, [run.data.params for run in runs]),
        ("tags", None, [run.data.tags for run in runs]),
    ):
        for key in dict.fromkeys(key for each in dicts for key in each):
            columns[f"{prefix}.{key}"] = [each.get(key, missing) for each in dicts]
    return pandas.DataFrame(columns)


def _times(times_ms: list[int | None]) -> pandas.DatetimeIndex:
    import pandas

    stamps = [None if ms is None else pandas.Timestamp(ms, unit="ms", tz="UTC") for ms in times_ms]
    return pandas.DatetimeIndex(pandas.Series(stamps, dtype="datetime64[ms, UTC]"))
