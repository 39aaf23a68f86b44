"""The SDK in a process of its own: throughput until queryable, and what one call costs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from typing import Any

from bench.checksum import Checksum
from bench.ingest import verify
from bench.report import Figures
from bench.stack import Stack


def measure_sdk(stack: Stack, figures: Figures) -> None:
    """`sdk_points_per_s` and `log_call_*_us`."""
    with stack.watched_memory() as memory:
        result = _run(stack, "throughput")
    verify(stack, {result["run_id"]: Checksum(**result["expected"])})
    figures.add("sdk_points_per_s", result["points"] / result["queryable_s"])
    figures.add("sdk_called_points_per_s", result["points"] / result["called_s"])
    figures.add_memory("sdk", memory)
    for name, value in _run(stack, "call-cost").items():
        figures.add(name, value)


def _run(stack: Stack, command: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="rekam-bench-spool-") as spool:
        output = subprocess.run(
            [sys.executable, "-m", "bench.sdk_load", "--grpc", stack.target, command],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"REKAM_SPOOL_DIR": spool},
        ).stdout
    result: dict[str, Any] = json.loads(output.splitlines()[-1])
    return result
