"""Steady loads of a minute: does it keep up, how far behind are readers, does memory stay where it is."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import click
import numpy as np

from bench.at_rest import stored
from bench.checksum import Checksum
from bench.ingest import verify
from bench.report import Figures
from bench.stack import Stack

SECONDS = 60
# Runs read back through the API, of those whose points were all compared in the database.
SAMPLE = 4


def measure_neptune_profile(stack: Stack, figures: Figures) -> None:
    """1,200 runs of 9,500 series, each with a point every 25 s; figures `neptune_*`."""
    result = _steady(stack, figures, "neptune", runs=1_200, keys=9_500, rows=1, frames_per_s=1_200 / 25)
    expected = {run: Checksum(**found) for run, found in result["expected"].items()}
    if stored(stack.environment("tracking-serve")["REKAM_POSTGRES_URL"]) != expected:
        raise RuntimeError("the database has other points than were sent")
    verify(stack, {run: expected[run] for run in list(expected)[:SAMPLE]})


def measure_memory(stack: Stack, figures: Figures) -> None:
    """Wide frames, 2 million points a second: `memory_growth_second_half_percent`, of the greatest grower."""
    result = _steady(stack, figures, "steady", runs=4, keys=100, rows=80, frames_per_s=250)
    verify(stack, {run: Checksum(**found) for run, found in result["expected"].items()})
    growth = figures.memory["steady"].growth_percent(SECONDS / 2, SECONDS)
    for process, percent in growth.items():
        click.echo(f"  {process:<44}{percent:>13.1f}%", err=True)
    figures.add("memory_growth_second_half_percent", max(growth.values()))


def _steady(stack: Stack, figures: Figures, name: str, **options: float) -> dict[str, Any]:
    command = [sys.executable, "-m", "bench.steady", "--grpc", stack.target, "--seconds", str(SECONDS)]
    for option, value in options.items():
        command += [f"--{option.replace('_', '-')}", str(value)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as load:
        assert load.stdout is not None
        if load.stdout.readline().strip() != "started":
            raise RuntimeError(f"the load did not start: exit status {load.wait()}")
        with stack.watched_memory() as memory:
            output = load.stdout.read()
        if load.wait():
            raise RuntimeError(f"the load failed: exit status {load.returncode}")
    result: dict[str, Any] = json.loads(output)
    figures.add(f"{name}_points_per_s", result["points"] / max(SECONDS, result["acknowledged_s"]))
    figures.add(f"{name}_lag_greatest_s", max(result["lags_s"]))
    figures.add(f"{name}_lag_p50_s", float(np.median(result["lags_s"])))
    figures.add(f"{name}_strong_read_greatest_s", max(result["strong_reads_s"]))
    figures.add(f"{name}_acknowledge_greatest_s", result["acknowledge_s"])
    figures.add_memory(name, memory)
    return result
