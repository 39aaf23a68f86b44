"""What MLflow's client is told where a model is protected: "guarded", which has a version."""

import json
import sys
from pathlib import Path

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

client = MlflowClient()
told = {}
for name, call, arguments in (
    ("promote", client.transition_model_version_stage, (1, "Production")),
    ("move", client.set_registered_model_alias, ("champion", 1)),
    ("rename", client.rename_registered_model, ("mine",)),
    ("stage", client.transition_model_version_stage, (1, "Staging")),
    ("describe", client.update_registered_model, ("Described.",)),
):
    try:
        call("guarded", *arguments)
    except MlflowException as error:
        told[name] = error.error_code
    else:
        told[name] = "done"

Path(sys.argv[1]).write_text(json.dumps(told))
