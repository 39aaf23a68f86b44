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
_PROGRAM_S = 240

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


@pytest.fixture(scope="session")
def preloaded() -> Iterator[subprocess.Popen[str]]:
    """MLflow's client, imported once for all programs."""
    # -P: its neighbours are no modules of it.
    with subprocess.Popen(
        [MLFLOW / "python", "-P", HERE / "preloaded.py"],
        env=_environ(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield process


@pytest.fixture
def program(tracking_uri: str, preloaded: subprocess.Popen[str], tmp_path: Path) -> Program:
    """Runs a program of `programs` to its end, in a process of its own; returns what it tells."""

    def run(name: str, **settings: str) -> Any:
        told, output = tmp_path / f"{name}.json", tmp_path / f"{name}.output"
        spool = {"REKAM_SPOOL_DIR": str(tmp_path / "spool")}
        asked = {
            "argv": [str(HERE / "programs" / f"{name}.py"), str(told)],
            "environ": {**_environ(), "MLFLOW_TRACKING_URI": tracking_uri, **spool, **settings},
            "cwd": str(tmp_path),
            "output": str(output),
            "seconds": _PROGRAM_S,
        }
        assert preloaded.stdin is not None
        assert preloaded.stdout is not None
        print(json.dumps(asked), file=preloaded.stdin, flush=True)
        assert preloaded.stdout.readline() == "0\n", output.read_text()
        # A NaN is equal to itself here.
        return json.loads(told.read_text(), parse_constant=str)

    return run


def _environ() -> dict[str, str]:
    """Nothing of the tests' own environment steers MLflow."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "REKAM_"))}
    return {**clean, "MLFLOW_DISABLE_TELEMETRY": "true", "GIT_PYTHON_REFRESH": "quiet"}


@pytest.fixture
def answers_of_mlflow(request: pytest.FixtureRequest) -> Answers:
    """What a program told when it ran against MLflow; `told` is what it tells now."""

    def of(name: str, told: Any) -> Any:
        file = HERE / "answers" / f"{name}.json"
        if request.config.getoption("--reference") == "record":
            file.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n")
        return json.loads(file.read_text())

    return of
