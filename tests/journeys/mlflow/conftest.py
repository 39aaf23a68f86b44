"""Programs of MLflow's users, run against the stack; with --reference against MLflow itself."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rekam.testing import LocalStack
from tests.journeys.mlflow.reference import running_reference

HERE = Path(__file__).parent
MLFLOW = HERE.parents[2] / ".venv-mlflow" / "bin"
_PROGRAM_S = 240.0

Program = Callable[..., Any]
Answers = Callable[[str, Any], Any]


@pytest.fixture
def tracking_uri(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Of the empty server that programs talk to: by its HTTP door, or as the test's `door` says."""
    door = getattr(request, "param", "http")
    if request.config.getoption("--reference"):
        if door != "http":
            pytest.skip("MLflow has no plugin for itself")
        with running_reference(MLFLOW / "mlflow", tmp_path) as uri:
            yield uri
        return
    stack: LocalStack = request.getfixturevalue("rekam_clean")
    yield stack.http if door == "http" else f"rekam://{stack.grpc}"


@pytest.fixture
def program(tracking_uri: str, tmp_path: Path) -> Program:
    """Runs a program of `programs` to its end; returns what it tells."""

    def run(name: str, **settings: str) -> Any:
        told = tmp_path / f"{name}.json"
        environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith(("MLFLOW_", "REKAM_"))},
            "MLFLOW_TRACKING_URI": tracking_uri,
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "GIT_PYTHON_REFRESH": "quiet",
            "REKAM_SPOOL_DIR": str(tmp_path / "spool"),
            **settings,
        }
        # -P: its neighbours are no modules of it.
        command: list[str | Path] = [MLFLOW / "python", "-P", HERE / "programs" / f"{name}.py", told]
        done = subprocess.run(
            command,
            env=environment,
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_PROGRAM_S,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        # A NaN is equal to itself here.
        return json.loads(told.read_text(), parse_constant=str)

    return run


@pytest.fixture
def answers_of_mlflow(request: pytest.FixtureRequest) -> Answers:
    """What a program told when it ran against MLflow; `told` is what it tells now."""

    def of(name: str, told: Any) -> Any:
        file = HERE / "answers" / f"{name}.json"
        if request.config.getoption("--reference") == "record":
            file.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n")
        return json.loads(file.read_text())

    return of
