"""What MLflow refuses, call by call: each call's error code and message."""

import json
import re
import sys
from pathlib import Path

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag, ViewType
from mlflow.exceptions import MlflowException

client = MlflowClient()
experiment_id = client.create_experiment("errors")
deleted_experiment_id = client.create_experiment("deleted")
run_id = client.create_run(experiment_id, run_name="run").info.run_id
deleted_run_id = client.create_run(experiment_id, run_name="deleted run").info.run_id
client.log_param(run_id, "depth", 7)
client.delete_run(deleted_run_id)
client.delete_experiment(deleted_experiment_id)
unknown_run_id = "0123456789abcdef" * 2

ids = {
    run_id: "<run>",
    deleted_run_id: "<deleted run>",
    unknown_run_id: "<unknown run>",
}
told = {}


def of(name, call, /, *arguments, **options):
    """Keep what a call is refused with."""
    try:
        call(*arguments, **options)
    except MlflowException as error:
        message = str(error)
        for id, text in ids.items():
            message = message.replace(id, text)
        message = re.sub(rf"\b(ID|id|experiment)([= ']+){experiment_id}\b", r"\1\2<experiment>", message)
        message = re.sub(
            rf"\b(ID|id|experiment)([= ']+){deleted_experiment_id}\b", r"\1\2<deleted experiment>", message
        )
        # The client's own hints follow in further lines.
        told[name] = [error.error_code, message.splitlines()[0]]
    else:
        told[name] = "no error"


of("experiment: the name is taken", client.create_experiment, "errors")
of("experiment: the name is a deleted one's", client.create_experiment, "deleted")
of("experiment: empty name", client.create_experiment, "")
of("experiment: long name", client.create_experiment, "n" * 501)
of("experiment: unknown id", client.get_experiment, "987654")
of("experiment: id is no number", client.get_experiment, "abc")
of("experiment: rename a deleted one", client.rename_experiment, deleted_experiment_id, "other")
of("experiment: delete again", client.delete_experiment, deleted_experiment_id)
of("experiment: restore an active one", client.restore_experiment, experiment_id)
of("experiment: tag of a deleted one", client.set_experiment_tag, deleted_experiment_id, "k", "v")
of("experiment: long tag", client.set_experiment_tag, experiment_id, "k", "v" * 25_000)
of("experiment: bad tag key", client.set_experiment_tag, experiment_id, "a//b", "v")
of("experiment: set a deleted one", mlflow.set_experiment, "deleted")
of("run: in a deleted experiment", client.create_run, deleted_experiment_id)
of("run: in an unknown experiment", client.create_run, "987654")
of("run: two names", client.create_run, experiment_id, run_name="a", tags={"mlflow.runName": "b"})
of("run: unknown", client.get_run, unknown_run_id)
of("run: bad id", client.get_run, "../x")
of("run: delete an unknown one", client.delete_run, unknown_run_id)
of("run: restore an unknown one", client.restore_run, unknown_run_id)
of("run: delete again", client.delete_run, deleted_run_id)
of("run: restore an active one", client.restore_run, run_id)
of("run: end an unknown one", client.set_terminated, unknown_run_id)

for name, id in (("deleted", deleted_run_id), ("unknown", unknown_run_id)):
    of(f"{name} run: param", client.log_param, id, "a", 1)
    of(f"{name} run: tag", client.set_tag, id, "a", 1)
    of(f"{name} run: delete a tag", client.delete_tag, id, "mlflow.runName")
    of(f"{name} run: batch of params", client.log_batch, id, params=[Param("a", "1")])
    of(f"{name} run: update", client.update_run, id, name="other")

of("param: another value", client.log_param, run_id, "depth", 8)
of("param: the same value", client.log_param, run_id, "depth", 7)
of("param: another value in a batch", client.log_batch, run_id, params=[Param("depth", "9"), Param("x", "1")])
of("param: twice in a batch", client.log_batch, run_id, params=[Param("y", "1"), Param("y", "1")])
of("param: bad key", client.log_param, run_id, "a/../b", 1)
of("param: empty key", client.log_param, run_id, "", 1)
of("param: long key", client.log_param, run_id, "k" * 251, 1)
of("param: long value is cut", client.log_param, run_id, "long", "v" * 6_001)
of("metric: bad key", client.log_metric, run_id, "a?b", 1.0)
of("metric: long key", client.log_metric, run_id, "k" * 251, 1.0)
of("metric: leading slash", client.log_metric, run_id, "/loss", 1.0)
of("metric: bad key in a batch", client.log_batch, run_id, [Metric("a", 1.0, 1, 0), Metric("b?", 1.0, 1, 0)])
of("tag: bad key", client.set_tag, run_id, "a\nb", 1)
of("tag: long key", client.set_tag, run_id, "k" * 251, 1)
of("tag: not set", client.delete_tag, run_id, "nobody")
of("tag: bad key in a batch", client.log_batch, run_id, tags=[RunTag("ok", "1"), RunTag("..", "1")])

for name, filter_string in {
    "unknown entity": "nobody.key = 'x'",
    "unknown attribute": "attribute.nobody = 'x'",
    "unknown comparator": "params.depth BETWEEN 1 AND 2",
    "number for a tag": "tags.a = 1",
    "number for a param": "params.a = 1",
    "text for a metric": "metrics.a = 'x'",
    "comparator of a param": "params.a > '1'",
    "no value": "params.a =",
    "no comparator": "params.a '1'",
    "semicolon": "params.a = '1'; params.b = '1'",
    "list for a param": "params.a IN ('1')",
    "list for a name": "attributes.run_name IN ('a')",
    "empty list": "attributes.run_id IN ()",
    "unquoted in a list": "attributes.run_id IN (a)",
    "status in a list": "attributes.status IN ('FINISHED')",
    "metric is null": "metrics.a IS NULL",
    "attribute is null": "attributes.run_name IS NULL",
    "text for a time": "attributes.start_time > 'x'",
    "unclosed quote": "params.a = 'x",
    "nonsense": "???",
}.items():
    of(f"runs, filter: {name}", client.search_runs, [experiment_id], filter_string)
of("runs, order: unknown attribute", client.search_runs, [experiment_id], order_by=["attribute.nobody"])
of("runs, order: unknown entity", client.search_runs, [experiment_id], order_by=["nobody.a DESC"])
of("runs, order: bad direction", client.search_runs, [experiment_id], order_by=["metrics.a DOWN"])
of("runs: bad token", client.search_runs, [experiment_id], page_token="nobody gave it")
of("runs: too many", client.search_runs, [experiment_id], max_results=50_001)
of("runs: none", client.search_runs, [experiment_id], max_results=0)
of("experiments, filter: unknown attribute", client.search_experiments, filter_string="nobody = 'x'")
of("experiments, filter: number for a name", client.search_experiments, filter_string="name = 1")
of("experiments, filter: text for a time", client.search_experiments, filter_string="creation_time > 'x'")
of("experiments, order: unknown", client.search_experiments, order_by=["nobody"])
of("experiments: bad token", client.search_experiments, page_token="nobody gave it")
of("experiments: too many", client.search_experiments, max_results=50_001)
of("experiments: none", client.search_experiments, max_results=0)
of("experiments: bad view", client.search_experiments, view_type=ViewType.ALL, filter_string="tags.a = 1")

model_id = client.create_logged_model(experiment_id, name="model").model_id
ids[model_id] = "<model>"
of("model: unknown", client.get_logged_model, "m-" + unknown_run_id)
of("model: bad name", client.create_logged_model, experiment_id, name="a/b")
of("model: in an unknown experiment", client.create_logged_model, "987654", name="model")
of("model: tag not set", client.delete_logged_model_tag, model_id, "nobody")
of("model: unknown tag of an unknown one", client.delete_logged_model_tag, "m-" + unknown_run_id, "nobody")
of("models, filter: unknown attribute", client.search_logged_models, [experiment_id], "nobody.a = 'x'")
of("models: bad token", client.search_logged_models, [experiment_id], page_token="nobody gave it")
client.delete_logged_model(model_id)
of("model: deleted", client.get_logged_model, model_id)
of("artifacts: of an unknown run", client.list_artifacts, unknown_run_id)
of("artifacts: missing", mlflow.artifacts.download_artifacts, run_id=run_id, artifact_path="no/file.txt")

run = client.get_run(run_id)
told["afterwards"] = {
    "params": {key: len(value) if key == "long" else value for key, value in run.data.params.items()},
    "metrics": run.data.metrics,
    "tags": sorted(run.data.tags),
}
Path(sys.argv[1]).write_text(json.dumps(told))
