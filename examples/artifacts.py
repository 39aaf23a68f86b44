"""A model's files: trained in one run, fetched and measured in another; the lineage says so.

    rekam up                      # in another terminal
    python examples/artifacts.py

Needs numpy, matplotlib and pandas. The houses are made up, so nothing is downloaded.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import rekam


def houses(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Area and rooms, and prices in thousands."""
    random = np.random.default_rng(seed)
    area = random.gamma(8.0, 12.0, 500)
    rooms = np.clip((area / 25).round(), 1, 9)
    return np.column_stack([area, rooms, np.ones(500)]), 2.4 * area + 14 * rooms + random.normal(0, 15, 500)


def train() -> str:
    """A run with a model, a figure of it, and what it was made of; answers with the run's id."""
    x, y = houses(seed=1)
    weights = np.linalg.lstsq(x, y)[0]
    with rekam.start_run(run_name="train") as run, tempfile.TemporaryDirectory() as folder:
        saved = Path(folder) / "weights.npy"
        np.save(saved, weights)
        rekam.log_artifact(saved, "model")
        rekam.log_dict({"kind": "least squares", "rows": len(x)}, "model/about.json")
        figure = Figure()
        figure.add_subplot(xlabel="price", ylabel="predicted").scatter(y, x @ weights, s=4)
        rekam.log_figure(figure, "plots/fit.png")
    return run.run_id


def evaluate(trained: str) -> str:
    """Another run that fetches the model; answers with its id."""
    x, y = houses(seed=2)
    with rekam.start_run(run_name="evaluate") as run:
        saved = Path(rekam.download_artifacts(run_id=trained, artifact_path="model/weights.npy"))
        predicted = x @ np.load(saved)
        rekam.log_metric("mean_error", float(np.abs(predicted - y).mean()))
        rekam.log_table({"price": y[:5].tolist(), "predicted": predicted[:5].tolist()}, "samples.json")
    return run.run_id


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--uri", default=rekam.get_tracking_uri(), help="grpc://HOST:PORT")
    rekam.set_tracking_uri(parser.parse_args().uri)
    rekam.set_experiment("House prices, by their files")

    trained = train()
    evaluated = evaluate(trained)
    for each in rekam.Client().list_artifacts(trained, recursive=True):
        print(f"{each.path}: {each.file_size} bytes, {each.media_type}")
    for edge in rekam.Client().get_lineage(artifact_uri=f"runs:/{trained}/model/weights.npy"):
        print(f"{edge.kind.lower()} by {'train' if edge.owner == trained else 'evaluate'}")
    print(rekam.load_table("samples.json", run_ids=[evaluated]))


if __name__ == "__main__":
    main()
