"""Page after page by MlflowClient: runs, experiments, a long history."""

import json
import sys
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Metric

client = MlflowClient()

experiment_id = client.create_experiment("paged")
run_ids = [
    client.create_run(experiment_id, start_time=1_000 * (number + 1), run_name=f"run {number}").info.run_id
    for number in range(23)
]
for number in range(11):
    client.create_experiment(f"paged {number:02}")


def pages(page_of):
    """Names on each page, until there is no token."""
    found, token = [], None
    while True:
        page = page_of(token)
        found.append(page)
        token = page.token
        if not token:
            return found


runs = pages(lambda token: client.search_runs([experiment_id], max_results=10, page_token=token))
full = pages(lambda token: client.search_runs([experiment_id], max_results=23, page_token=token))
ordered = pages(
    lambda token: client.search_runs(
        [experiment_id], order_by=["attributes.start_time ASC"], max_results=9, page_token=token
    )
)
experiments = pages(
    lambda token: client.search_experiments(
        filter_string="name LIKE 'paged %'", order_by=["name DESC"], max_results=4, page_token=token
    )
)

# More points than the client asks for at once (25,000).
for first in range(0, 30_000, 1_000):
    client.log_batch(
        run_ids[0],
        [Metric("loss", 1.0 / (1 + step), 10_000 + step, step) for step in range(first, first + 1_000)],
    )
history = client.get_metric_history(run_ids[0], "loss")

Path(sys.argv[1]).write_text(
    json.dumps(
        {
            "runs": [[run.info.run_name for run in page] for page in runs],
            "full page": [len(page) for page in full],
            "ordered": [[run.info.run_name for run in page] for page in ordered],
            "experiments": [[found.name for found in page] for page in experiments],
            "points": len(history),
            "steps": [point.step for point in history] == list(range(30_000)),
            "values": [point.value for point in history] == [1.0 / (1 + step) for step in range(30_000)],
        }
    )
)
