"""A program that traces, on a server that keeps no traces: its own work goes on."""

import json
import sys
from pathlib import Path

import mlflow
from mlflow.exceptions import MlflowException

experiment = mlflow.set_experiment("traced")


@mlflow.trace
def twice(number):
    return 2 * number


with mlflow.start_run() as run:
    doubled = [twice(number) for number in range(3)]
    mlflow.log_metric("doubled", sum(doubled))
    mlflow.flush_trace_async_logging()

try:
    mlflow.search_traces(locations=[experiment.experiment_id])
    searched = None
except MlflowException as error:
    searched = error.error_code

Path(sys.argv[1]).write_text(
    json.dumps(
        {
            "doubled": doubled,
            "searched": searched,
            "metrics": mlflow.get_run(run.info.run_id).data.metrics,
            "status": mlflow.get_run(run.info.run_id).info.status,
        }
    )
)
