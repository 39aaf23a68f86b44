"""Large files in parts, past the server: what MLflow's client does where the server offers it.

Run with MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD and MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD.
"""

import json
import logging
import random
import sys
import tempfile
from pathlib import Path

import mlflow

requests = []


class Requests(logging.Handler):
    """Keeps the method, path and status of every request that the client sends."""

    def emit(self, record):
        if record.args and len(record.args) == 8:
            _, _, _, method, path, _, status, _ = record.args
            requests.append((method, path, status))


logging.getLogger("urllib3.connectionpool").addHandler(Requests())
logging.getLogger("urllib3.connectionpool").setLevel(logging.DEBUG)
logging.getLogger("urllib3.connectionpool").propagate = False

here = Path(tempfile.mkdtemp())
large = random.Random(7).randbytes(13 * 1024 * 1024 + 17)
(here / "large.bin").write_bytes(large)
(here / "small.bin").write_bytes(large[:100])

mlflow.set_experiment("multipart")
with mlflow.start_run() as run:
    mlflow.log_artifact(str(here / "large.bin"), artifact_path="some folder")
    mlflow.log_artifact(str(here / "small.bin"))
client = mlflow.MlflowClient()
back = Path(client.download_artifacts(run.info.run_id, "some folder/large.bin")).read_bytes()
small = Path(client.download_artifacts(run.info.run_id, "small.bin")).read_bytes()


def sent(method, *words):
    """Statuses of the requests whose path has these words."""
    return [status for of, path, status in requests if of == method and all(word in path for word in words)]


Path(sys.argv[1]).write_text(
    json.dumps(
        {
            "large": back == large,
            "small": small == large[:100],
            "listed": [
                [each.path, each.file_size] for each in client.list_artifacts(run.info.run_id, "some folder")
            ],
            "created": sent("POST", "mpu/create"),
            "completed": sent("POST", "mpu/complete"),
            "put through the server": sent("PUT", "/mlflow-artifacts/artifacts/"),
            "presigned": sent("GET", "mlflow-artifacts/presigned"),
        }
    )
)
