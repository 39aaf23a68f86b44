"""What the documents show runs: every Python block of the README and the pages, and every example."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from rekam.testing import LocalStack

ROOT = Path(__file__).parents[2]
# What the pages call a local stack's doors.
GRPC, HTTP = "127.0.0.1:50051", "127.0.0.1:5000"
# Pages about MLflow show its client, which has an environment of its own.
MLFLOW_PYTHON = ROOT / ".venv-mlflow" / "bin" / "python"
BLOCKS = [
    pytest.param(block, id=f"{page.relative_to(ROOT)}:{number}")
    for page in (ROOT / "README.md", ROOT / "sdk" / "README.md", *sorted((ROOT / "docs").glob("*.md")))
    for number, block in enumerate(re.findall(r"^```python\n(.*?)^```", page.read_text(), re.M | re.S), 1)
]
EXAMPLES = [pytest.param(path, id=path.name) for path in sorted((ROOT / "examples").glob("*.py"))]


def run_python(code: str, stack: LocalStack, folder: Path) -> str:
    environment = os.environ | {
        "REKAM_TRACKING_URI": stack.tracking_uri,
        "REKAM_SPOOL_DIR": str(folder / "spool"),
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    here = code.replace(GRPC, stack.grpc).replace(HTTP, stack.http.removeprefix("http://"))
    done = subprocess.run(
        [MLFLOW_PYTHON if "import mlflow" in code else sys.executable, "-c", here],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_first_example_finds_its_run(rekam_clean: LocalStack, tmp_path: Path) -> None:
    (first,) = (block.values[0] for block in BLOCKS if block.id == "README.md:1")
    assert isinstance(first, str)
    output = run_python(
        first + "\nprint(len(_ := rekam.search_runs()), list(_['params.max_depth']))",
        rekam_clean,
        tmp_path,
    )
    assert "run_id" in output
    assert output.splitlines()[-1] == "1 ['5']"


@pytest.mark.parametrize("block", BLOCKS)
def test_a_block_of_a_document_runs(block: str, rekam_clean: LocalStack, tmp_path: Path) -> None:
    run_python(block, rekam_clean, tmp_path)


@pytest.mark.parametrize("path", EXAMPLES)
def test_an_example_runs(path: Path, rekam_clean: LocalStack, tmp_path: Path) -> None:
    assert run_python(path.read_text(), rekam_clean, tmp_path)
