"""Datasets that runs read, as MLflow's client makes them."""

import json
import sys
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
from mlflow import MlflowClient

client = MlflowClient()
experiment = mlflow.set_experiment("datasets")
frame = pd.DataFrame({"area": [50.0, 80.5, 120.0], "rooms": [2, 3, 5], "town": ["Bern", "Zug", "Uri"]})
houses = mlflow.data.from_pandas(frame, source="houses.csv", name="houses", targets="area")
pixels = mlflow.data.from_numpy(np.arange(12.0).reshape(3, 4), name="pixels", targets=np.array([0, 1, 0]))

with mlflow.start_run(run_name="training") as training:
    mlflow.log_input(houses, context="training", tags={"split": "80"})
    mlflow.log_input(houses, context="training")
with mlflow.start_run(run_name="testing") as testing:
    mlflow.log_inputs([houses, pixels], contexts=["testing", "testing"], tags_list=[None, {"kind": "image"}])
with mlflow.start_run(run_name="nothing"):
    pass


def inputs(run):
    """Its datasets, each with how it was read."""
    read = client.get_run(run.info.run_id).inputs.dataset_inputs
    return [
        {
            "name": each.dataset.name,
            "digest": each.dataset.digest,
            "source type": each.dataset.source_type,
            "source": json.loads(each.dataset.source).get("uri"),
            "schema": json.loads(each.dataset.schema),
            "profile": json.loads(each.dataset.profile),
            "tags": {tag.key: tag.value for tag in each.tags},
        }
        for each in sorted(read, key=lambda each: each.dataset.name)
    ]


def found(filter_string):
    runs = client.search_runs([experiment.experiment_id], filter_string, order_by=["run_name"])
    return [run.info.run_name for run in runs]


source = mlflow.data.get_source(client.get_run(training.info.run_id).inputs.dataset_inputs[0].dataset)
Path(sys.argv[1]).write_text(
    json.dumps(
        {
            "training": inputs(training),
            "testing": inputs(testing),
            "source": type(source).__name__,
            "by name": found("dataset.name = 'houses'"),
            "by digest": found(f"dataset.digest = '{pixels.digest}'"),
            "by context": found("dataset.context = 'testing'"),
            "by both": found(f"datasets.name = 'houses' AND dataset.digest = '{pixels.digest}'"),
            "by nothing": found("dataset.name LIKE 'n%'"),
        }
    )
)
