"""Trains a line through some prices, and registers it: a version more of "House prices".

python examples/serving/train.py
"""

import rekam

AREAS = [50.0, 80.0, 120.0, 200.0]
PRICES = [155_000.0, 242_000.0, 361_000.0, 598_000.0]


def fit(xs: list[float], ys: list[float]) -> dict[str, float]:
    """The line with the smallest squares."""
    x, y = sum(xs) / len(xs), sum(ys) / len(ys)
    slope = sum((a - x) * (b - y) for a, b in zip(xs, ys, strict=True)) / sum((a - x) ** 2 for a in xs)
    return {"slope": slope, "intercept": y - slope * x}


with rekam.start_run() as run:
    rekam.log_dict(fit(AREAS, PRICES), "model/line.json")
version = rekam.register_model(f"runs:/{run.info.run_id}/model", "House prices", reason="trained anew")
print(f"House prices/{version.version}, files {version.digest}")
