"""An environment for each peer, with everything pinned, beside this checkout: .bench/<name>."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click

ROOT = Path(__file__).parents[2]
ENVIRONMENTS = ROOT / ".bench"
# MLflow's are those that its client is tested with.
PINS = {
    "mlflow": ROOT / "requirements" / "mlflow.txt",
    "fasttrackml": Path(__file__).with_name("fasttrackml.txt"),
}


def programs_of(peer: str) -> Path:
    """The folder of its programs; made at the first time, and when the pins have changed."""
    pins = PINS[peer]
    environment = ENVIRONMENTS / peer
    installed = environment / "installed.txt"
    if not installed.exists() or installed.read_text() != pins.read_text():
        click.echo(f"installing {peer} into {environment} ...", err=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", environment], check=True)
        pip = [
            str(environment / "bin" / "python"),
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
        ]
        subprocess.run([*pip, "--require-hashes", "-r", pins], check=True)
        installed.write_text(pins.read_text())
    return environment / "bin"


def version_of(peer: str) -> str:
    """As pinned."""
    line = next(line for line in PINS[peer].read_text().splitlines() if line.startswith(f"{peer}=="))
    return line.split("==")[1].split()[0]
