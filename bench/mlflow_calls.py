"""What a call of MLflow's client costs; run by .venv-mlflow's interpreter with MLFLOW_TRACKING_URI set."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable

import mlflow
from mlflow.entities import Metric
from mlflow.tracking._tracking_service.utils import _get_store

calls = int(sys.argv[1])
store = _get_store()


def percentiles(name: str, call: Callable[[int], None]) -> dict[str, float]:
    """Microseconds of one call, called again and again."""
    taken = []
    for step in range(calls):
        begun = time.perf_counter_ns()
        call(step)
        taken.append(time.perf_counter_ns() - begun)
    taken.sort()
    return {
        f"{name}_p50_us": taken[len(taken) // 2] / 1000,
        f"{name}_p99_us": taken[len(taken) * 99 // 100] / 1000,
    }


with mlflow.start_run() as run:
    run_id = run.info.run_id
    figures = percentiles("log_metric", lambda step: mlflow.log_metric("loss", 1.0 / (1 + step), step=step))
    figures |= percentiles(
        "store", lambda step: store.log_metric(run_id, Metric("other", 1.0, 1_700_000_000_000 + step, step))
    )
    begun = time.perf_counter()
    points = len(mlflow.MlflowClient().get_metric_history(run_id, "loss"))
    assert points == calls, f"{points} of {calls} points"
    figures["read_back_ms"] = (time.perf_counter() - begun) * 1000

print(json.dumps(figures))
