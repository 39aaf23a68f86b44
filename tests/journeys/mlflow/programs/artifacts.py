"""Artifacts: files, folders, texts, figures, images, tables; logged, listed, downloaded, deleted."""

import json
import sys
import tempfile
from pathlib import Path

import matplotlib as mpl
import mlflow
import numpy as np
import pandas as pd
from mlflow import MlflowClient
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

mpl.use("Agg")
from matplotlib import pyplot

client = MlflowClient()
experiment = mlflow.set_experiment("artifacts")
here = Path(tempfile.mkdtemp())
BYTES = bytes(range(256)) * 5_000

(here / "data.bin").write_bytes(BYTES)
(here / "empty").touch()
tree = here / "tree"
for name in ("a.txt", "b/c.txt", "b/d/e f+g.txt", "b/zürich~1.txt"):
    (tree / name).parent.mkdir(parents=True, exist_ok=True)
    (tree / name).write_text(f"this is {name}")

with mlflow.start_run(run_name="artifacts") as run:
    mlflow.log_artifact(here / "data.bin")
    mlflow.log_artifact(here / "empty", artifact_path="sub/folder")
    mlflow.log_artifacts(tree, artifact_path="tree")
    mlflow.log_text("Grüezi", "texts/hello.txt")
    mlflow.log_text("first", "texts/again.txt")
    mlflow.log_text("second", "texts/again.txt")
    mlflow.log_dict({"depth": 7, "list": [1, 2]}, "config.json")
    mlflow.log_dict({"depth": 7}, "config.yaml")
    figure, axes = pyplot.subplots()
    axes.plot([1, 2, 3])
    mlflow.log_figure(figure, "plots/line.png")
    image = np.zeros((8, 8, 3), dtype=np.uint8)
    image[2:4] = 255
    mlflow.log_image(image, "images/square.png")
    mlflow.log_image(image, key="pictures/dog", step=3)
    table = {"question": ["a", "b"], "answer": ["x", "y"]}
    mlflow.log_table(table, "answers.json")
    mlflow.log_table(pd.DataFrame({"question": ["c"], "answer": ["z"]}), "answers.json")

run_id = run.info.run_id


def listed(path=None):
    """What a folder holds; the names of images by key carry times."""
    found = client.list_artifacts(run_id, path)
    return [
        [each.path.split("+")[0], each.is_dir, None if "images" in each.path else each.file_size]
        for each in found
    ]


def tree_of(path):
    """Every file under a path as it comes back, and its bytes."""
    root = Path(mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path=path))
    return {
        str(file.relative_to(root)): file.read_text() for file in sorted(root.rglob("*")) if file.is_file()
    }


downloaded = Path(client.download_artifacts(run_id, "data.bin")).read_bytes()
one = Path(mlflow.artifacts.download_artifacts(f"runs:/{run_id}/texts/hello.txt"))
whole = Path(mlflow.artifacts.download_artifacts(run_id=run_id, dst_path=here / "whole"))
loaded_table = mlflow.load_table("answers.json", run_ids=[run_id], extra_columns=["run_id"])
told = {
    "root": listed(),
    "tree": listed("tree"),
    "deeper": listed("tree/b"),
    "of a file": listed("data.bin"),
    "of nothing": listed("nobody"),
    "images": sorted({path for path, _, _ in listed("images")}),
    "bytes": downloaded == BYTES,
    "empty": Path(client.download_artifacts(run_id, "sub/folder/empty")).read_bytes() == b"",
    "tree as it comes back": tree_of("tree"),
    "text": mlflow.artifacts.load_text(f"{run.info.artifact_uri}/texts/hello.txt"),
    "text by run": one.read_text(),
    "overwritten": mlflow.artifacts.load_text(f"{run.info.artifact_uri}/texts/again.txt"),
    "dictionary": mlflow.artifacts.load_dict(f"{run.info.artifact_uri}/config.json"),
    "image": np.array_equal(
        np.asarray(mlflow.artifacts.load_image(f"{run.info.artifact_uri}/images/square.png")), image
    ),
    "figure": Path(client.download_artifacts(run_id, "plots/line.png")).read_bytes()[:8].hex(),
    "everything": sorted(
        str(file.relative_to(whole))
        for file in whole.rglob("*")
        if file.is_file() and "timestamp" not in file.name
    ),
    "table": loaded_table[["question", "answer"]].to_dict("list"),
    "table's run": set(loaded_table["run_id"]) == {run_id},
    "tags": {
        key: value
        for key, value in client.get_run(run_id).data.tags.items()
        if key.startswith("mlflow.logged")
    },
}

# Deleting, as `mlflow gc` does it: by the repository.
repository = get_artifact_repository(run.info.artifact_uri)
repository.delete_artifacts("tree/b")
repository.delete_artifacts("config.yaml")
repository.delete_artifacts("nobody")
told["after deleting"] = [path for path, _, _ in listed()]
told["after deleting, tree"] = [path for path, _, _ in listed("tree")]
Path(sys.argv[1]).write_text(json.dumps(told))
