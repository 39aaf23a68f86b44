"""MLflow's fluent API end to end: experiments, nested runs, what they hold, and what becomes of them."""

import json
import sys
from pathlib import Path

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag, ViewType

client = MlflowClient()

# Experiments.
houses = mlflow.set_experiment("houses")
mlflow.set_experiment_tags({"team": "pricing", "stage": "exploring"})
boats_id = mlflow.create_experiment("boats", tags={"water": "yes"})
client.rename_experiment(boats_id, "ships")
client.set_experiment_tag(boats_id, "draught", 3)
ships = mlflow.get_experiment(boats_id)

# A run with children.
with mlflow.start_run(run_name="forests", tags={"owner": "ada"}, description="All of them") as parent:
    mlflow.log_param("rows", 1000)
    mlflow.log_params({"depth": 7, "criterion": "squared_error", "bootstrap": True, "nothing": None})
    mlflow.set_tag("reviewed", "no")
    mlflow.set_tags({"reviewed": "yes", "city": "Zürich"})
    for step in range(5):
        mlflow.log_metric("loss", 1.0 / (step + 1), step=step)
    mlflow.log_metric("loss", 9.0, step=2)
    mlflow.log_metrics({"rmse": 12.5, "r2": float("nan")}, step=4)
    children = []
    for depth in (3, 5):
        with mlflow.start_run(run_name=f"depth {depth}", nested=True) as child:
            mlflow.log_param("depth", depth)
            mlflow.log_metric("rmse", 10.0 * depth)
            children.append(child.info.run_id)
    active_inside = mlflow.active_run().info.run_id == parent.info.run_id

parent_run = mlflow.get_run(parent.info.run_id)
history = client.get_metric_history(parent.info.run_id, "loss")

# It goes on later, with another name, and by the client.
with mlflow.start_run(run_id=parent.info.run_id):
    mlflow.log_metric("loss", 0.125, step=7)
    resumed_status = mlflow.get_run(parent.info.run_id).info.status
client.update_run(parent.info.run_id, name="all forests")
client.delete_tag(parent.info.run_id, "city")
client.log_batch(
    parent.info.run_id,
    metrics=[Metric("batch", value, 1_700_000_000_000 + step, step) for step, value in enumerate([3, 1, 2])],
    params=[Param("batched", "yes")],
    tags=[RunTag("batched", "also")],
)
later = mlflow.get_run(parent.info.run_id)

# A run that fails says so.
try:
    with mlflow.start_run(run_name="broken") as broken:
        mlflow.log_metric("loss", 4.0)
        raise ZeroDivisionError("no rows")
except ZeroDivisionError:
    pass

# Found again.
frame = mlflow.search_runs(filter_string="metrics.rmse > 20 and params.depth = '3'")
of_parent = mlflow.search_runs(
    filter_string=f"tags.mlflow.parentRunId = '{parent.info.run_id}'",
    order_by=["metrics.rmse DESC"],
    output_format="list",
)
everywhere = mlflow.search_runs(search_all_experiments=True, output_format="list")
last = mlflow.last_active_run()

# Deleted, and brought back.
mlflow.delete_run(children[0])
without = [run.info.run_id for run in client.search_runs([houses.experiment_id])]
gone = client.search_runs([houses.experiment_id], run_view_type=ViewType.DELETED_ONLY)
stage_of_gone = client.get_run(children[0]).info.lifecycle_stage
client.restore_run(children[0])
mlflow.delete_experiment(houses.experiment_id)
active_names = [found.name for found in mlflow.search_experiments()]
deleted = client.get_experiment_by_name("houses")
stage_with_experiment = client.get_run(children[1]).info.lifecycle_stage
client.restore_experiment(houses.experiment_id)
restored = client.get_experiment(houses.experiment_id)
back = client.search_runs([houses.experiment_id], run_view_type=ViewType.ACTIVE_ONLY)

Path(sys.argv[1]).write_text(
    json.dumps(
        {
            "experiment": {
                "id is a number": houses.experiment_id.isdigit(),
                "tags": client.get_experiment(houses.experiment_id).tags,
                "renamed": ships.name,
                "renamed tags": ships.tags,
                "unknown name": mlflow.get_experiment_by_name("nobody"),
            },
            "run": {
                "name": parent_run.info.run_name,
                "status": parent_run.info.status,
                "params": parent_run.data.params,
                "metrics": parent_run.data.metrics,
                "tags": {
                    key: value
                    for key, value in parent_run.data.tags.items()
                    if key not in ("mlflow.user", "mlflow.source.name") and "git" not in key
                },
                "user": parent_run.data.tags["mlflow.user"] == parent_run.info.user_id,
                "ended after it started": parent_run.info.end_time >= parent_run.info.start_time,
                "active inside": active_inside,
                "artifact uri ends": parent_run.info.artifact_uri.endswith(
                    f"/{houses.experiment_id}/{parent.info.run_id}/artifacts"
                ),
            },
            "history": sorted([point.step, point.value] for point in history),
            "history is in the order of time": [point.timestamp for point in history]
            == sorted(point.timestamp for point in history),
            "resumed status": resumed_status,
            "later": {
                "name": later.info.run_name,
                "name tag": later.data.tags["mlflow.runName"],
                "status": later.info.status,
                "metrics": later.data.metrics,
                "params": sorted(later.data.params),
                "batched": [later.data.params["batched"], later.data.tags["batched"]],
                "city": later.data.tags.get("city"),
            },
            "failed status": client.get_run(broken.info.run_id).info.status,
            "found": {
                "frame": frame[["params.depth", "metrics.rmse", "tags.mlflow.runName"]].to_dict("records"),
                "children": [run.info.run_name for run in of_parent],
                "everywhere": sorted(run.info.run_name for run in everywhere),
                "last": last.info.run_id == broken.info.run_id,
            },
            "deleted": {
                "listed": children[0] in without,
                "deleted only": [run.info.run_id for run in gone] == [children[0]],
                "stage": stage_of_gone,
            },
            "deleted experiment": {
                "active names": sorted(active_names),
                "stage": deleted.lifecycle_stage,
                "stage of its runs": stage_with_experiment,
                "restored": restored.lifecycle_stage,
                "runs": sorted(run.info.run_name for run in back),
            },
        }
    )
)
