"""House prices with scikit-learn, as users write it: autolog, log_model, and the model loaded again."""

import json
import sys
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import train_test_split


def houses(number):
    """Houses that are made up, and their prices in thousands."""
    random = np.random.default_rng(7)
    area = random.gamma(8.0, 12.0, number)
    rooms = np.clip((area / 25 + random.normal(0, 0.8, number)).round(), 1, 9)
    age = random.uniform(0, 100, number)
    distance = random.exponential(8.0, number)
    price = 2.4 * area + 14 * rooms - 0.6 * age + 220 * np.exp(-distance / 6) + random.normal(0, 15, number)
    return pd.DataFrame({"area": area, "rooms": rooms, "age": age, "distance": distance}), price


features, prices = houses(300)
train_x, test_x, train_y, test_y = train_test_split(features, prices, random_state=0)
client = mlflow.MlflowClient()

# Everything by itself.
experiment = mlflow.set_experiment("House prices")
mlflow.sklearn.autolog()
forest = RandomForestRegressor(n_estimators=10, max_depth=6, random_state=0)
forest.fit(train_x, train_y)
score = forest.score(test_x, test_y)
automatic = mlflow.last_active_run()
models = mlflow.search_logged_models([experiment.experiment_id], output_format="list")
of_run = mlflow.sklearn.load_model(f"runs:/{automatic.info.run_id}/model")
of_model = mlflow.pyfunc.load_model(f"models:/{models[0].model_id}")
mlflow.sklearn.autolog(disable=True)

# By hand.
with mlflow.start_run(run_name="linear") as run:
    linear = LinearRegression().fit(train_x, train_y)
    signature = mlflow.models.infer_signature(train_x, linear.predict(train_x))
    logged = mlflow.sklearn.log_model(
        linear, name="prices", signature=signature, input_example=train_x.head(3), params={"kind": "linear"}
    )
    mlflow.log_metric("score", linear.score(test_x, test_y), model_id=logged.model_id)
by_run = mlflow.sklearn.load_model(f"runs:/{run.info.run_id}/prices")
by_id = mlflow.sklearn.load_model(logged.model_uri)
model = mlflow.get_logged_model(logged.model_id)
found = mlflow.search_logged_models(
    [experiment.experiment_id], filter_string="name = 'prices'", output_format="list"
)
info = mlflow.models.get_model_info(f"models:/{logged.model_id}")
client.set_logged_model_tags(logged.model_id, {"checked": "yes"})

Path(sys.argv[1]).write_text(
    json.dumps(
        {
            "automatic": {
                "params": {
                    key: automatic.data.params[key] for key in ("n_estimators", "max_depth", "random_state")
                },
                "metrics": sorted(automatic.data.metrics),
                "scored": automatic.data.metrics["RandomForestRegressor_score_test_x"] == score,
                "tags": {
                    key: value for key, value in automatic.data.tags.items() if not key.startswith("mlflow.")
                },
                "autologging": automatic.data.tags["mlflow.autologging"],
                "status": automatic.info.status,
                "artifacts": sorted(found.path for found in client.list_artifacts(automatic.info.run_id)),
                "in the model": sorted(
                    found.path for found in client.list_artifacts(automatic.info.run_id, "model")
                ),
                "dataset": [
                    [each.dataset.name, {tag.key: tag.value for tag in each.tags}]
                    for each in automatic.inputs.dataset_inputs
                ],
                "made": [output.model_id for output in automatic.outputs.model_outputs]
                == [models[0].model_id],
                "model": [models[0].name, str(models[0].status), models[0].source_run_id]
                == ["model", "READY", automatic.info.run_id],
                "model's params": models[0].params.get("max_depth"),
                "loaded by run": np.array_equal(of_run.predict(test_x), forest.predict(test_x)),
                "loaded by id": np.array_equal(of_model.predict(test_x), forest.predict(test_x)),
            },
            "by hand": {
                "loaded by run": np.array_equal(by_run.predict(test_x), linear.predict(test_x)),
                "loaded by id": np.array_equal(by_id.predict(test_x), linear.predict(test_x)),
                "params": model.params,
                "metrics": [[each.key, each.value == linear.score(test_x, test_y)] for each in model.metrics],
                "status": str(model.status),
                "found": [each.model_id for each in found] == [logged.model_id],
                "signature": info.signature.inputs.input_names() if info.signature else None,
                "tags": mlflow.get_logged_model(logged.model_id).tags.get("checked"),
                "run's metric": mlflow.get_run(run.info.run_id).data.metrics.keys() == {"score"},
                "location ends": model.artifact_location.endswith(
                    f"/{experiment.experiment_id}/models/{logged.model_id}/artifacts"
                ),
            },
        }
    )
)
