"""What MLflow's registry refuses, call by call: each call's error code and message."""

import json
import sys
from pathlib import Path

import mlflow
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

client = MlflowClient()
client.create_registered_model("model")
client.create_registered_model("other")
client.create_model_version("model", "s3://models/1")
client.create_model_version("model", "s3://models/2")
client.create_model_version("model", "s3://models/3")
client.delete_model_version("model", "2")
run = client.create_run("0")
run_id = run.info.run_id
unknown_id = "0123456789abcdef" * 2
told = {}


def of(name, call, /, *arguments, **options):
    """Keep what a call is refused with."""
    try:
        call(*arguments, **options)
    except MlflowException as error:
        # The client's own hints follow in further lines.
        told[name] = [error.error_code, str(error).replace(run_id, "<run>").splitlines()[0]]
    else:
        told[name] = "no error"


of("model: the name is taken", client.create_registered_model, "model")
of("model: empty name", client.create_registered_model, "")
of("model: blank name", client.create_registered_model, "  ")
of("model: slash", client.create_registered_model, "a/b")
of("model: colon", client.create_registered_model, "a:b")
of("model: dots", client.create_registered_model, "..")
of("model: bad tag", client.create_registered_model, "tagged", {"a//b": "v"})
for name, call, arguments in (
    ("get", client.get_registered_model, ()),
    ("update", client.update_registered_model, ("x",)),
    ("rename", client.rename_registered_model, ("another",)),
    ("delete", client.delete_registered_model, ()),
    ("tag", client.set_registered_model_tag, ("k", "v")),
    ("delete tag", client.delete_registered_model_tag, ("k",)),
    ("alias", client.set_registered_model_alias, ("champion", 1)),
    ("delete alias", client.delete_registered_model_alias, ("champion",)),
    ("by alias", client.get_model_version_by_alias, ("champion",)),
    ("latest", client.get_latest_versions, ()),
    ("version", client.create_model_version, ("s3://models/1",)),
):
    of(f"unknown model: {name}", call, "nobody", *arguments)
    if name not in ("latest", "delete"):
        of(f"empty name: {name}", call, "", *arguments)
of("model: rename to one that is there", client.rename_registered_model, "model", "other")
of("model: rename to a bad name", client.rename_registered_model, "model", "a/b")
of("model: rename to nothing", client.rename_registered_model, "model", "")
of("model tag: bad key", client.set_registered_model_tag, "model", "a//b", "v")
of("model tag: long key", client.set_registered_model_tag, "model", "k" * 251, "v")
of("model tag: long value", client.set_registered_model_tag, "model", "k", "v" * 100_001)
of("model tag: not set", client.delete_registered_model_tag, "model", "nobody")

for name, source in {
    "local": "/tmp/model",
    "file": "file:///tmp/model",
    "relative": "some/model",
    "empty": "",
    "above": "s3://models/../other",
    "above, encoded": "mlflow-artifacts:/0/%2e%2e/x",
    "unknown version": "models:/nobody/1",
    "deleted version": "models:/model/2",
    "unknown logged model": f"models:/m-{unknown_id}",
    "no model's uri": "models:/a/b/c",
}.items():
    of(f"source: {name}", client.create_model_version, "model", source)
of("source: local, of a run", client.create_model_version, "model", "/tmp/model", run_id)
of("version: unknown run", client.create_model_version, "model", "s3://models/4", unknown_id)
of("version: bad tag", client.create_model_version, "model", "s3://models/4", tags={"a//b": "v"})

for version in ("9", "2", "abc", "1.5", "-1"):
    of(f"version {version}: get", client.get_model_version, "model", version)
    of(f"version {version}: update", client.update_model_version, "model", version, "x")
    of(f"version {version}: delete", client.delete_model_version, "model", version)
    of(f"version {version}: transition", client.transition_model_version_stage, "model", version, "Staging")
    of(f"version {version}: tag", client.set_model_version_tag, "model", version, "k", "v")
    of(f"version {version}: delete tag", client.delete_model_version_tag, "model", version, "k")
    of(f"version {version}: alias", client.set_registered_model_alias, "model", "champion", version)
    of(f"version {version}: download uri", client.get_model_version_download_uri, "model", version)
of("version of an unknown model", client.get_model_version, "nobody", "1")
of("version tag: bad key", client.set_model_version_tag, "model", "1", "a//b", "v")
of("version tag: long value", client.set_model_version_tag, "model", "1", "k", "v" * 100_001)
of("version tag: not set", client.delete_model_version_tag, "model", "1", "nobody")
of(
    "version tag: of a stage that is empty",
    client.set_model_version_tag,
    "model",
    stage="Staging",
    key="k",
    value="v",
)
of("stage: unknown", client.transition_model_version_stage, "model", "1", "Live")
of("stage: empty", client.transition_model_version_stage, "model", "1", "")
of("stage: archive for none", client.transition_model_version_stage, "model", "1", "None", True)
of("stage: archive for archived", client.transition_model_version_stage, "model", "1", "Archived", True)
of("latest: unknown stage", client.get_latest_versions, "model", ["Live"])

for alias in ("latest", "LATEST", "v1", "V12", "a b", "a/b", "a.b", "", "a" * 256, "a" * 255, "v1a", "1"):
    name = alias if len(alias) < 20 else len(alias)
    of(f"alias {name}: set", client.set_registered_model_alias, "model", alias, "1")
of("alias: not set", client.get_model_version_by_alias, "model", "nobody")
of("alias: delete one that is not set", client.delete_registered_model_alias, "model", "nobody")
of("alias: bad name", client.get_model_version_by_alias, "model", "a b")
of("alias: latest of none", client.get_model_version_by_alias, "other", "latest")

for name, filter_string in {
    "unknown attribute": "nobody = 'x'",
    "unknown entity": "nobody.key = 'x'",
    "number for a name": "name = 1",
    "comparator of a name": "name > 'x'",
    "number for a tag": "tags.a = 1",
    "comparator of a tag": "tags.a > '1'",
    "tag is null": "tags.a IS NULL",
    "no value": "name =",
    "no comparator": "name 'x'",
    "semicolon": "name = 'a'; name = 'b'",
    "unclosed quote": "name = 'x",
    "nonsense": "???",
}.items():
    of(f"models, filter: {name}", client.search_registered_models, filter_string)
    of(f"versions, filter: {name}", client.search_model_versions, filter_string)
of("versions, filter: text for a number", client.search_model_versions, "version_number > 'x'")
of("versions, filter: LIKE of a number", client.search_model_versions, "version_number LIKE '1'")
of("versions, filter: empty list", client.search_model_versions, "run_id IN ()")
of("versions, filter: unquoted in a list", client.search_model_versions, "run_id IN (a)")
for name, search, most in (
    ("models", client.search_registered_models, 1_001),
    ("versions", client.search_model_versions, 200_001),
):
    of(f"{name}, order: unknown", search, order_by=["nobody"])
    of(f"{name}, order: bad direction", search, order_by=["name DOWN"])
    of(f"{name}, order: twice", search, order_by=["name ASC", "name DESC"])
    of(f"{name}: bad token", search, page_token="nobody gave it")
    of(f"{name}: too many", search, max_results=most)
    of(f"{name}: none", search, max_results=0)
    of(f"{name}: fewer than none", search, max_results=-1)

for uri in (
    "nobody/1",
    "model/9",
    "model/Production",
    "model/Live",
    "model@nobody",
    "other/latest",
    f"m-{unknown_id}",
):
    of(f"load models:/{uri}", mlflow.pyfunc.load_model, f"models:/{uri}")
of("register: unknown run", mlflow.register_model, f"runs:/{unknown_id}/model", "model")
of("copy: unknown version", client.copy_model_version, "models:/model/9", "target")
of("copy: unknown alias", client.copy_model_version, "models:/model@nobody", "target")

told["afterwards"] = {
    "models": [found.name for found in client.search_registered_models()],
    "versions": sorted(found.version for found in client.search_model_versions("name = 'model'")),
    "aliases": sorted(client.get_registered_model("model").aliases),
}
Path(sys.argv[1]).write_text(json.dumps(told))
