"""House prices with scikit-learn's random forest: params, a metric per tree count, the best run found again.

    rekam up                        # in another terminal
    python examples/house_prices.py

Needs scikit-learn. The houses are made up here, so nothing is downloaded.
"""

from __future__ import annotations

import argparse

import numpy as np
from sklearn.ensemble import RandomForestRegressor
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score
from sklearn.model_selection import train_test_split

import rekam


def houses(number: int, seed: int = 7) -> tuple[np.ndarray, np.ndarray]:
    """Features (area, rooms, age, distance to the centre) and prices in thousands."""
    random = np.random.default_rng(seed)
    area = random.gamma(8.0, 12.0, number)
    rooms = np.clip((area / 25 + random.normal(0, 0.8, number)).round(), 1, 9)
    age = random.uniform(0, 100, number)
    distance = random.exponential(8.0, number)
    price = 2.4 * area + 14 * rooms - 0.6 * age + 220 * np.exp(-distance / 6)
    return np.column_stack([area, rooms, age, distance]), price + random.normal(0, 15, number)


def train(max_depth: int, trees: int, data: list[np.ndarray]) -> None:
    """One run: the forest grows by ten trees a step, and each step is measured."""
    train_x, test_x, train_y, test_y = data
    with rekam.start_run(run_name=f"Random Forest n_estimators={trees} max_depth={max_depth}"):
        rekam.log_params({"n_estimators": trees, "max_depth": max_depth, "train_rows": len(train_x)})
        rekam.set_tag("model", "RandomForestRegressor")
        forest = RandomForestRegressor(max_depth=max_depth, warm_start=True, random_state=0, n_jobs=1)
        for grown in range(10, trees + 1, 10):
            forest.set_params(n_estimators=grown).fit(train_x, train_y)
            predicted = forest.predict(test_x)
            rekam.log_metrics(
                {
                    "mse": mean_squared_error(test_y, predicted),
                    "mae": mean_absolute_error(test_y, predicted),
                    "r2_score": r2_score(test_y, predicted),
                    "train_r2_score": forest.score(train_x, train_y),
                },
                step=grown,
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--uri", default=rekam.get_tracking_uri(), help="grpc://HOST:PORT")
    parser.add_argument("--trees", type=int, default=100)
    arguments = parser.parse_args()

    rekam.set_tracking_uri(arguments.uri)
    rekam.set_experiment("House Price Prediction with scikit-learn")
    x, y = houses(1500)
    data = train_test_split(x, y, test_size=0.25, random_state=0)
    for max_depth in (3, 5, 10):
        train(max_depth, arguments.trees, data)

    best = rekam.search_runs(
        filter_string="metrics.r2_score > 0.5 and tags.model = 'RandomForestRegressor'",
        order_by=["metrics.r2_score DESC"],
        max_results=3,
        output_format="list",
    )
    for run in best:
        metrics = run.data.metrics
        print(f"{run.info.run_name}: r2 {metrics['r2_score']:.3f}, mae {metrics['mae']:.1f}")


if __name__ == "__main__":
    main()
