"""search_runs, search_experiments and search_logged_models, over every rule of their grammar."""

import json
import math
import sys
from pathlib import Path

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag, ViewType

client = MlflowClient()
experiment_id = client.create_experiment("searched")
other_id = client.create_experiment("searched too", tags={"team": "vision", "with space": "yes"})
client.create_experiment("Searched by nobody", tags={"team": "Vision"})

# name: (start time, metrics, params, tags, datasets, status)
RUNS = {
    "ada": (
        3_000,
        {"loss": 0.5, "m a p": 1},
        {"depth": "3", "lr": "0.1"},
        {"team": "a"},
        ["mnist"],
        "FINISHED",
    ),
    "bob": (2_000, {"loss": 0.25}, {"depth": "10"}, {"team": "A", "has space": "x"}, ["cifar"], "FAILED"),
    "cyd": (2_001, {"loss": math.nan}, {"lr": "0.01"}, {"team": "b"}, [], "RUNNING"),
    "dan": (4_000, {"acc": 0.5}, {"depth": "3"}, {"note": 'it\'s "so"'}, ["mnist", "cifar"], "KILLED"),
    "eve": (5_000, {"loss": -1, "acc": 0.75}, {"de-pth": "x_y%z"}, {"team": "ä%_"}, [], "SCHEDULED"),
    "Fay": (1_000, {"loss": 0}, {}, {"path": "a/b.c", "k.with.dots": "1"}, [], "FINISHED"),
}
ids = {}
for name, (start, metrics, params, tags, datasets, status) in RUNS.items():
    user = {"mlflow.user": name.upper()}
    run = client.create_run(experiment_id, start_time=start, run_name=name, tags=user)
    ids[name] = run.info.run_id
    client.log_batch(
        run.info.run_id,
        [Metric(key, value, 1, 0) for key, value in metrics.items()],
        [Param(key, value) for key, value in params.items()],
        [RunTag(key, value) for key, value in tags.items()],
    )
    if datasets:
        client.log_inputs(
            run.info.run_id,
            [
                DatasetInput(
                    Dataset(dataset, f"{dataset}-1", "code", "{}"),
                    [InputTag("mlflow.data.context", "train" if dataset == "mnist" else "test")],
                )
                for dataset in datasets
            ],
        )
    if status != "RUNNING":
        client.set_terminated(run.info.run_id, status, end_time=start + 500)
# What counts is the greatest step, then time, then value.
client.log_metric(ids["bob"], "loss", 8.0, timestamp=9, step=5)
client.log_metric(ids["bob"], "loss", 0.125, timestamp=9, step=4)
gone = client.create_run(experiment_id, start_time=1, run_name="gone").info.run_id
client.delete_run(gone)
for name in ("far", "far too"):
    client.create_run(other_id, start_time=2_500, run_name=name)

told = {}


def runs(filter_string="", order_by=("attributes.run_name ASC",), within=(experiment_id,), **options):
    found = client.search_runs(list(within), filter_string, order_by=list(order_by), **options)
    name = filter_string or f"{', '.join(order_by)} of {len(within)} {options or ''}"
    told[f"runs: {name}".strip()] = [run.info.run_name for run in found]


for filter_string in [
    "metrics.loss > 0",
    "metrics.loss >= 0",
    "metrics.loss < 0.5",
    "metrics.loss <= 0.5",
    "metrics.loss = 0.5",
    "metrics.loss != 0.5",
    "metrics.loss = 0",
    "metrics.loss > -0.5",
    "metric.loss < 1e0",
    "metrics.`m a p` = 1",
    'metrics."m a p" = 1.0',
    "params.depth = '3'",
    'params.depth = "3"',
    "params.depth != '3'",
    "parameters.depth = '10'",
    "param.lr LIKE '0.%'",
    "params.`de-pth` = 'x_y%z'",
    "params.\"de-pth\" LIKE 'x%'",
    "params.depth IS NULL",
    "params.depth IS NOT NULL",
    "params.depth is not null and params.lr IS NULL",
    "tags.team = 'a'",
    "tag.team != 'a'",
    "tags.team LIKE 'a'",
    "tags.team ILIKE 'a'",
    "tags.team ilike 'A%'",
    "tags.team LIKE 'ä%'",
    "tags.team IS NULL",
    "tags.`has space` = 'x'",
    "tags.k.with.dots = '1'",
    "tags.path LIKE '%/b.%'",
    "tags.note LIKE '%\"so\"%'",
    "tags.mlflow.user = 'ADA'",
    "tags.mlflow.runName = 'bob'",
    "attributes.run_name = 'Fay'",
    "attribute.run_name ILIKE 'f%'",
    "attr.run_name != 'ada'",
    "run_name LIKE '%a%'",
    "run.status = 'FINISHED'",
    "status != 'FINISHED'",
    "attributes.status LIKE 'F%'",
    "attributes.start_time > 2000",
    "attributes.start_time = 2000",
    "attributes.start_time <= 2001",
    "start_time >= 2000 AND start_time <= 3000",
    "attributes.created != 2000",
    "attributes.end_time < 2600",
    "user_id = 'EVE'",
    "attributes.user_id LIKE '%A%'",
    f"attributes.run_id = '{ids['ada']}'",
    f"attributes.run_id != '{ids['ada']}'",
    f"attributes.run_id IN ('{ids['ada']}', '{ids['Fay']}')",
    f"run_id NOT IN ('{ids['ada']}','{ids['bob']}')",
    "attributes.artifact_uri LIKE '%/artifacts'",
    "attributes.`run name` = 'eve'",
    "dataset.name = 'mnist'",
    "datasets.name != 'mnist'",
    "dataset.name LIKE 'm%'",
    "dataset.name IN ('mnist', 'cifar')",
    "dataset.name NOT IN ('mnist')",
    "dataset.digest = 'cifar-1'",
    "dataset.context = 'train'",
    "dataset.name = 'mnist' AND dataset.name = 'cifar'",
    "dataset.name = 'cifar' AND dataset.context = 'train'",
    "metrics.loss > 0 and params.depth = '3' AND tags.team = 'a'",
    "metrics.loss > 0 AND ",
    "params.nobody = 'x'",
    "metrics.nobody != 1",
    "",
]:
    runs(filter_string)

for order_by in [
    ["metrics.loss"],
    ["metrics.loss ASC"],
    ["metrics.loss DESC"],
    ["metrics.`m a p` DESC"],
    ["params.depth"],
    ["params.depth DESC"],
    ["tags.team ASC"],
    ["tag.team DESC"],
    ["start_time"],
    ["attributes.start_time ASC"],
    ["attributes.start_time DESC", "attributes.run_name ASC"],
    ["attribute.end_time DESC"],
    ["status ASC", "run_name DESC"],
    ["params.depth ASC", "metrics.acc DESC"],
    ["attributes.user_id DESC"],
    ["metrics.nobody"],
]:
    runs(order_by=order_by)
runs(order_by=["attributes.run_name"], run_view_type=ViewType.ALL)
runs(order_by=["attributes.run_name"], run_view_type=ViewType.DELETED_ONLY)
runs(order_by=["attributes.run_name DESC"], within=[experiment_id, other_id])
runs(order_by=["run_name"], within=[])
runs(order_by=["start_time"], within=["987654"])
told["runs by default"] = [run.info.run_name for run in client.search_runs([experiment_id])]
# Those of one time follow each other by their ids.
tied = [run.info.run_id for run in client.search_runs([other_id])]
told["ties are by id"] = tied == sorted(tied)
frame = mlflow.search_runs(experiment_names=["searched", "nobody's"], filter_string="metrics.loss <= 0.5")
told["frame"] = [sorted(frame.columns), sorted(frame["tags.mlflow.runName"])]
told["inputs in a search"] = [
    sorted(each.dataset.name for each in run.inputs.dataset_inputs)
    for run in client.search_runs([experiment_id], order_by=["run_name"])
]


def experiments(filter_string=None, order_by=("name ASC",), **options):
    found = client.search_experiments(filter_string=filter_string, order_by=list(order_by), **options)
    name = filter_string if filter_string is not None else f"{', '.join(order_by)} {options or ''}"
    told[f"experiments: {name}".strip()] = [experiment.name for experiment in found]


client.delete_experiment(client.create_experiment("searched and gone"))
for filter_string in [
    "name = 'searched'",
    "name != 'searched'",
    "name LIKE 'searched%'",
    "name ILIKE 'searched%'",
    "attribute.name = 'searched'",
    "tags.team = 'vision'",
    "tag.team ILIKE 'vision'",
    "tags.team != 'vision'",
    "tags.`with space` = 'yes'",
    "tags.team IS NULL",
    "tags.team IS NOT NULL",
    "creation_time > 0",
    "last_update_time >= 0 AND name LIKE '%nobody'",
    "creation_time < 1",
]:
    experiments(filter_string)
experiments(order_by=["name DESC"], view_type=ViewType.ALL)
experiments(order_by=["name"], view_type=ViewType.DELETED_ONLY)
experiments(order_by=["experiment_id DESC"])
experiments(order_by=["creation_time ASC"])
told["experiments by default"] = [found.name for found in client.search_experiments()]

# name: (type, params, tags, values of "f1" with the dataset each is measured on)
MODELS = {
    "cat": ("sklearn", {"depth": "3"}, {"stage": "new"}, [(0.5, "mnist"), (0.75, "cifar")]),
    "dog": ("torch", {"depth": "10"}, {"stage": "old"}, [(0.25, "mnist")]),
    "elk": ("torch", {}, {}, []),
}
digests = {"mnist": "mnist-1", "cifar": "cifar-1"}
for name, (type, params, tags, values) in MODELS.items():
    model = client.create_logged_model(
        experiment_id, name=name, source_run_id=ids["ada"], model_type=type, params=params, tags=tags
    )
    for step, (value, dataset) in enumerate(values):
        client.log_metric(
            ids["ada"],
            "f1",
            value,
            timestamp=step,
            step=step,
            model_id=model.model_id,
            dataset_name=dataset,
            dataset_digest=digests[dataset],
        )
    if name != "elk":
        client.finalize_logged_model(model.model_id, "READY")


def models(filter_string=None, **options):
    found = client.search_logged_models([experiment_id], filter_string, **options)
    told[f"models: {filter_string} {options or ''}".strip()] = [model.name for model in found]


for filter_string in [
    "name = 'cat'",
    "name != 'cat'",
    "name LIKE '%o%'",
    "name ILIKE 'CAT'",
    "name IN ('cat', 'elk')",
    "name NOT IN ('cat', 'elk')",
    "attributes.model_type = 'torch'",
    "source_run_id = '" + ids["ada"] + "'",
    "creation_timestamp > 0",
    "params.depth = '3'",
    "params.depth != '3'",
    "params.depth IN ('3', '10')",
    "tags.stage LIKE 'n%'",
    "tags.stage NOT IN ('new')",
    "metrics.f1 > 0.4",
    "metrics.f1 = 0.5",
    "metrics.f1 < 0.3 AND model_type = 'torch'",
    "name = 'nobody'",
]:
    models(filter_string, order_by=[{"field_name": "name"}])
models("metrics.f1 > 0.4", datasets=[{"dataset_name": "mnist", "dataset_digest": "mnist-1"}])
models("metrics.f1 > 0.6", datasets=[{"dataset_name": "mnist", "dataset_digest": "mnist-1"}])
models(datasets=[{"dataset_name": "cifar", "dataset_digest": "cifar-1"}])
models(order_by=[{"field_name": "metrics.f1", "ascending": False}])
models(order_by=[{"field_name": "metrics.f1"}])
models(order_by=[{"field_name": "name", "ascending": False}], max_results=2)
models()
cat = client.search_logged_models([experiment_id], "name = 'cat'")[0]
told["model"] = {
    "params": cat.params,
    "tags": cat.tags,
    "status": str(cat.status),
    "type": cat.model_type,
    "metrics": [[each.key, each.value, each.step, each.dataset_name] for each in cat.metrics],
}
told["run of models"] = client.get_run(ids["ada"]).data.metrics

readable = json.dumps(told)
for name, id in ids.items():
    readable = readable.replace(id, f"<{name}>")
Path(sys.argv[1]).write_text(readable)
