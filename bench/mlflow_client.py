"""The unmodified mlflow client: what one log_metric costs, by HTTP and by the plugin."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path

from bench.report import Figures
from bench.stack import Stack

PYTHON = Path(__file__).parents[1] / ".venv-mlflow" / "bin" / "python"
_CALLS = {"http": 2_000, "plugin": 50_000}


def measure_mlflow_client(stack: Stack, figures: Figures) -> None:
    """`mlflow_http_*`, `mlflow_plugin_*`: of mlflow.log_metric, and of the store's part of it."""
    for door, uri in (("http", stack.http), ("plugin", f"rekam://{stack.target}")):
        with tempfile.TemporaryDirectory(prefix="rekam-bench-spool-") as spool:
            settings = {
                "MLFLOW_TRACKING_URI": uri,
                "MLFLOW_DISABLE_TELEMETRY": "true",
                "REKAM_SPOOL_DIR": spool,
            }
            output = subprocess.run(
                [PYTHON, Path(__file__).with_name("mlflow_calls.py"), str(_CALLS[door])],
                check=True,
                stdout=subprocess.PIPE,
                text=True,
                env=os.environ | settings,
            ).stdout
        for name, value in json.loads(output.splitlines()[-1]).items():
            figures.add(f"mlflow_{door}_{name}", value)
