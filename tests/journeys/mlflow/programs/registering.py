"""A model from training to production: registered, promoted, replaced and copied, and loaded by each URI."""

import json
import sys
from pathlib import Path

import mlflow
import numpy as np
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from sklearn.linear_model import LinearRegression, Ridge

NAME = "MyProductionModel"
client = MlflowClient()
random = np.random.default_rng(7)
features = random.uniform(0, 10, (40, 2))
prices = features @ [3.0, -1.0] + np.sin(features[:, 0])
line = LinearRegression().fit(features, prices)
ridge = Ridge(alpha=50.0).fit(features, prices)
signature = mlflow.models.infer_signature(features, line.predict(features))
# Said, because finding them out takes longer than all the rest.
NEEDS = ["scikit-learn"]
told = {}


def loads(uri, load=mlflow.pyfunc.load_model):
    """Whose predictions those of the model at a URI are."""
    predicted = load(uri).predict(features)
    for name, model in (("line", line), ("ridge", ridge)):
        if np.array_equal(predicted, model.predict(features)):
            return name
    return "another"


def of(version):
    """What is the same in every run, of a version."""
    return {
        "name": version.name,
        "version": str(version.version),
        "stage": version.current_stage,
        "source": version.source,
        "run": version.run_id,
        "run's link": version.run_link,
        "description": version.description,
        "status": version.status,
        "tags": version.tags,
        "aliases": list(version.aliases),
    }


def stages(name=NAME):
    found = client.search_model_versions(f"name = '{name}'", order_by=["version_number ASC"])
    return {str(version.version): version.current_stage for version in found}


mlflow.set_experiment("production")

# Registered while it is logged; from its run afterwards; by its id; from a folder that a run has.
with mlflow.start_run() as first_run:
    logged = mlflow.sklearn.log_model(
        line, name="model", signature=signature, registered_model_name=NAME, pip_requirements=NEEDS
    )
told["registered"] = str(logged.registered_model_version)
with mlflow.start_run() as second_run:
    later = mlflow.sklearn.log_model(ridge, name="model", signature=signature, pip_requirements=NEEDS)
    mlflow.sklearn.save_model(ridge, "saved", pip_requirements=NEEDS)
    mlflow.log_artifacts("saved", "by hand")
by_run = mlflow.register_model(f"runs:/{second_run.info.run_id}/model", NAME, tags={"from": "its run"})
by_id = mlflow.register_model(logged.model_uri, NAME)
by_hand = client.create_model_version(
    NAME,
    f"{second_run.info.artifact_uri}/by hand",
    second_run.info.run_id,
    tags={"from": "a folder"},
    run_link="http://example.com/run",
    description="Put there by hand.",
)
client.create_registered_model("Another")
client.create_model_version("Another", later.model_uri, second_run.info.run_id, model_id=later.model_id)
told["versions"] = [of(client.get_model_version(NAME, version)) for version in (1, 2, 3, 4)]
told["answers"] = [[str(each.version), each.tags] for each in (by_run, by_id, by_hand)]
told["registrations"] = {
    name: sorted({(each["name"], int(each["version"])) for each in json.loads(tag)})
    for name, tag in (
        (name, mlflow.get_logged_model(id).tags["mlflow.modelVersions"])
        for name, id in (("line", logged.model_id), ("ridge", later.model_id))
    )
}
told["downloads are where the source is"] = [
    client.get_model_version_download_uri(NAME, "1").endswith(f"/models/{logged.model_id}/artifacts"),
    client.get_model_version_download_uri(NAME, "4") == f"{second_run.info.artifact_uri}/by hand",
]

# Promoted, and replaced.
production = client.transition_model_version_stage(NAME, "1", "Production")
told["promoted"] = of(production)
told["in production"] = loads(f"models:/{NAME}/Production")
client.transition_model_version_stage(NAME, "3", "staging")
told["in staging"] = loads(f"models:/{NAME}/Staging")
client.transition_model_version_stage(NAME, "2", "Production", archive_existing_versions=True)
told["stages"] = stages()
told["then in production"] = [
    loads(f"models:/{NAME}/Production"),
    loads(f"models:/{NAME}/production", mlflow.sklearn.load_model),
]
told["latest"] = sorted(
    [version.current_stage, str(version.version)] for version in client.get_latest_versions(NAME)
)
told["latest in production, and without a stage"] = sorted(
    str(version.version) for version in client.get_latest_versions(NAME, ["production", "None"])
)

# By alias, which moves; by number; the last one.
client.set_registered_model_alias(NAME, "champion", "1")
client.set_registered_model_alias(NAME, "first", 1)
told["champion"] = [
    loads(f"models:/{NAME}@champion"),
    of(client.get_model_version_by_alias(NAME, "champion")),
]
client.set_registered_model_alias(NAME, "champion", "2")
told["next champion"] = [
    loads(f"models:/{NAME}@champion"),
    str(client.get_model_version_by_alias(NAME, "champion").version),
    client.get_registered_model(NAME).aliases,
]
told["by number"] = [loads(f"models:/{NAME}/{version}") for version in (1, 2, 3, 4)]
told["last"] = loads(f"models:/{NAME}/latest")
info = mlflow.models.get_model_info(f"models:/{NAME}@champion")
told["info"] = [sorted(info.flavors), info.signature == signature, info.model_id == later.model_id]

# Its files, by the same URIs.
whole = Path(mlflow.artifacts.download_artifacts(f"models:/{NAME}@champion"))
told["files"] = sorted(path.name for path in whole.rglob("*") if path.is_file())
told["listed"] = sorted(
    found.path for found in mlflow.artifacts.list_artifacts(f"models:/{NAME}/Production") or []
)
told["one file"] = "sklearn" in mlflow.artifacts.load_text(f"models:/{NAME}/1/MLmodel")

# Copied to a model of another name.
copied = client.copy_model_version(f"models:/{NAME}@champion", "Copied")
told["copied"] = [of(copied), loads("models:/Copied/1")]
copied_again = client.copy_model_version("models:/Copied/1", "Copied")
told["copied again"] = [of(copied_again), loads("models:/Copied/2")]
told["copies' downloads"] = [
    client.get_model_version_download_uri("Copied", version).endswith(f"/models/{later.model_id}/artifacts")
    for version in ("1", "2")
]

# A version that goes takes its aliases with it; what was in use by another name stays.
client.delete_model_version(NAME, "2")
told["deleted"] = [stages(), loads("models:/Copied/2"), client.get_registered_model(NAME).aliases]
try:
    loads(f"models:/{NAME}@champion")
except MlflowException as error:
    told["no champion"] = error.error_code
again = mlflow.register_model(f"runs:/{second_run.info.run_id}/model", NAME)
told["number of the next"] = str(again.version)
client.rename_registered_model(NAME, "Renamed")
told["renamed"] = [loads("models:/Renamed/latest"), stages("Renamed"), loads("models:/Renamed@first")]
client.delete_registered_model("Renamed")
told["gone"] = [
    [found.name for found in client.search_registered_models()],
    loads("models:/Copied/1"),
]

readable = json.dumps(told)
for name, id in {
    "first run": first_run.info.run_id,
    "second run": second_run.info.run_id,
    "line": logged.model_id,
    "ridge": later.model_id,
}.items():
    readable = readable.replace(id, f"<{name}>")
readable = readable.replace(
    second_run.info.artifact_uri.replace(second_run.info.run_id, "<second run>"), "<artifacts>"
)
Path(sys.argv[1]).write_text(readable)
