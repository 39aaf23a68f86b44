"""Logging that does not wait, logging from many threads and processes, and metrics of the system itself."""

import json
import multiprocessing
import sys
import threading
import time
from pathlib import Path

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag

client = MlflowClient()
experiment = mlflow.set_experiment("asynchronous")


def log_as_child(run_id, number):
    for step in range(50):
        MlflowClient().log_metric(run_id, f"child {number}", float(step), step=step)
    MlflowClient().set_tag(run_id, f"child {number}", "done")


def steps_of(run_id, key):
    return [point.step for point in client.get_metric_history(run_id, key)]


with mlflow.start_run(run_name="asynchronous") as run:
    for step in range(200):
        mlflow.log_metric("loss", 1.0 / (1 + step), step=step, synchronous=False)
    operations = [
        mlflow.log_params({f"p{number}": number for number in range(30)}, synchronous=False),
        mlflow.set_tags({"kind": "async", "more": "yes"}, synchronous=False),
        mlflow.log_metrics({"a": 1.0, "b": 2.0}, step=1, synchronous=False),
        client.log_batch(
            run.info.run_id,
            [Metric("batch", float(step), 1_000 + step, step) for step in range(3_000)],
            [Param(f"q{number}", str(number)) for number in range(150)],
            [RunTag("batched", "yes")],
            synchronous=False,
        ),
    ]
    for operation in operations:
        operation.wait()
    mlflow.flush_async_logging()
    read_inside = client.get_run(run.info.run_id)
    steps = steps_of(run.info.run_id, "loss")

    def log_in_thread(number):
        for step in range(100):
            mlflow.log_metric(f"thread {number}", float(step), step=step, run_id=run.info.run_id)

    threads = [threading.Thread(target=log_in_thread, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    processes = [
        multiprocessing.get_context("fork").Process(target=log_as_child, args=(run.info.run_id, number))
        for number in range(2)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()

# A param that is logged twice with different values: the second is refused, wherever it is waited for.
with mlflow.start_run(run_name="conflict") as conflict:
    mlflow.log_param("depth", 3)
    try:
        mlflow.log_params({"depth": 4}, synchronous=False).wait()
        refused = None
    except mlflow.exceptions.MlflowException as error:
        refused = error.error_code

mlflow.set_system_metrics_sampling_interval(0.1)
mlflow.set_system_metrics_samples_before_logging(1)
with mlflow.start_run(run_name="system", log_system_metrics=True) as system:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if len(client.get_metric_history(system.info.run_id, "system/cpu_utilization_percentage")) >= 2:
            break

done = client.get_run(run.info.run_id)
of_system = client.get_run(system.info.run_id).data.metrics
Path(sys.argv[1]).write_text(
    json.dumps(
        {
            "inside": [read_inside.data.metrics["loss"], read_inside.data.params["p7"]],
            "steps": steps == list(range(200)) or sorted(steps) == list(range(200)),
            "params": len(done.data.params),
            "tags": [done.data.tags["kind"], done.data.tags["more"], done.data.tags["batched"]],
            "metrics": {key: done.data.metrics[key] for key in ("a", "b", "batch")},
            "batch": steps_of(run.info.run_id, "batch") == list(range(3_000)),
            "threads": [
                steps_of(run.info.run_id, f"thread {number}") == list(range(100)) for number in range(4)
            ],
            "children": [
                steps_of(run.info.run_id, f"child {number}") == list(range(50)) for number in range(2)
            ],
            "children's tags": [done.data.tags.get(f"child {number}") for number in range(2)],
            "exit codes": [process.exitcode for process in processes],
            "status": done.info.status,
            "refused": refused,
            "conflict": client.get_run(conflict.info.run_id).data.params,
            "system": sorted(
                key
                for key in of_system
                if key in ("system/cpu_utilization_percentage", "system/system_memory_usage_megabytes")
            ),
        }
    )
)
