"""The SDK's transfers, each by a process of its own: a large file by either way, and many small ones."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import click

import rekam
from bench.report import Figures
from bench.stack import Stack

MIB = 1024 * 1024
LARGE = 1024 * MIB
SMALL_FILES = 10_000
SMALL = 4_096


def measure_sdk_files(stack: Stack, figures: Figures) -> None:
    """`sdk_{upload,download}_{s3,gateway}_bytes_per_s` of a large file, `sdk_small_files_{up,down}_s`."""
    with tempfile.TemporaryDirectory(prefix="rekam-bench-files-") as directory:
        large, small = Path(directory) / "large", Path(directory) / "small"
        for way, direct in (("s3", "1"), ("gateway", "0")):
            # Other bytes each time: what is stored already is not sent.
            _write(large, LARGE)
            seconds = _run(stack, directory, large, direct)
            for verb in ("upload", "download"):
                figures.add(f"sdk_{verb}_{way}_bytes_per_s", LARGE / seconds[verb])
        small.mkdir()
        for number in range(SMALL_FILES):
            _write(small / f"{number}.bin", SMALL)
        seconds = _run(stack, directory, small, "0")
        figures.add("sdk_small_files_up_s", seconds["upload"])
        figures.add("sdk_small_files_down_s", seconds["download"])


def _write(path: Path, size: int) -> None:
    with path.open("wb") as file:
        for _ in range(0, size, MIB):
            file.write(os.urandom(min(size, MIB)))


def _run(stack: Stack, directory: str, path: Path, direct: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "bench.sdk_files", "--grpc", stack.target, str(path)]
    environ = {"REKAM_SPOOL_DIR": f"{directory}/spool", "REKAM_DIRECT_TRANSFERS": direct}
    done = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True, env=os.environ | environ, cwd=Path.cwd()
    )
    seconds: dict[str, Any] = json.loads(done.stdout)
    return seconds


@click.command()
@click.option("--grpc", "target", required=True)
@click.argument("path", type=click.Path(exists=True, path_type=Path))
def main(target: str, path: Path) -> None:
    """Log a file or directory, fetch it, and print the seconds of both."""
    client = rekam.Client(f"grpc://{target}")
    run_id = client.create_run("0").info.run_id
    began = time.monotonic()
    client.log_artifact(run_id, path)
    logged = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="rekam-bench-fetched-") as directory:
        client.download_artifacts(run_id, path.name, directory)
        fetched = time.monotonic()
    print(json.dumps({"upload": logged - began, "download": fetched - logged}))


if __name__ == "__main__":
    main()
