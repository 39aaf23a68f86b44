"""The figures, as a table for people and a file for programs."""

from __future__ import annotations

import datetime
import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from bench.registry_data import SEARCHES as REGISTRY_SEARCHES
from bench.stack import Memory, Resident

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Target:
    """What a figure is to reach: at least (rates) or at most (times, sizes)."""

    value: float
    at_most: bool = False

    def met_by(self, figure: float) -> bool:
        return figure <= self.value if self.at_most else figure >= self.value


TARGETS = {
    "ingest_wide_points_per_s": Target(10e6),
    "ingest_narrow_points_per_s": Target(2e6),
    "neptune_points_per_s": Target(456e3),
    "neptune_lag_greatest_s": Target(5, at_most=True),
    "memory_growth_second_half_percent": Target(5, at_most=True),
    "rebuild_times_live": Target(3),
    "recovery_nats_leader_s": Target(10, at_most=True),
    "sdk_points_per_s": Target(3e6),
    "log_call_1_key_p50_us": Target(2, at_most=True),
    "log_call_100_keys_p50_us": Target(10, at_most=True),
    "log_call_1_key_p99_us": Target(20, at_most=True),
    "log_call_100_keys_p99_us": Target(20, at_most=True),
    "history_points_per_s": Target(5e6),
    "buckets_ms": Target(60, at_most=True),
    "search_100k_recent_ms": Target(50, at_most=True),
    "search_100k_metric_ms": Target(50, at_most=True),
    "search_100k_tag_like_ms": Target(50, at_most=True),
    "rest_log_metric_p50_ms": Target(1, at_most=True),
    "rest_log_batch_points_per_s": Target(300e3),
    "rest_filled_runs_per_s": Target(1_000),
    "rest_search_10k_runs_ms": Target(10, at_most=True),
    "rest_history_points_per_s": Target(1e6),
    "artifact_upload_http_bytes_per_s": Target(300e6),
    "artifact_download_http_bytes_per_s": Target(300e6),
    "artifact_gateway_growth_mib": Target(32, at_most=True),
    "artifact_small_files_s": Target(30, at_most=True),
    "resolve_p50_ms": Target(1, at_most=True),
    "resolve_percent_of_empty_method": Target(50),
    "promotion_to_1000_watchers_p99_ms": Target(100, at_most=True),
    "history_100k_first_page_ms": Target(20, at_most=True),
    "history_100k_deep_page_ms": Target(20, at_most=True),
    "history_100k_version_ms": Target(20, at_most=True),
    "history_100k_as_of_ms": Target(20, at_most=True),
    **{f"registry_1m_{name}_ms": Target(50, at_most=True) for name in REGISTRY_SEARCHES},
    "recovery_gateway_s": Target(5, at_most=True),
    "recovery_tracking_serve_s": Target(5, at_most=True),
    "recovery_tracking_project_s": Target(5, at_most=True),
    "recovery_nats_s": Target(5, at_most=True),
    "recovery_postgres_s": Target(5, at_most=True),
    "recovery_seaweed_s": Target(5, at_most=True),
}


class Figures:
    """Named numbers; the name ends in the unit."""

    def __init__(self) -> None:
        self.values: dict[str, float] = {}
        self.shares: dict[str, list[str]] = {}
        self.memory: dict[str, Memory] = {}

    def add(self, name: str, value: float) -> None:
        self.values[name] = value
        click.echo(f"  {name:<44}{spelled(value):>14}", err=True)

    def add_memory(self, name: str, memory: Memory) -> None:
        self.memory[name] = memory

    def compare(self, name: str, ceiling: str, factor: float = 1.0) -> None:
        """State a figure as a share of a ceiling measured in the same run.

        factor: bytes of the ceiling's unit that one unit of the figure takes.
        """
        if name in self.values and ceiling in self.values:
            share = self.values[name] * factor / self.values[ceiling]
            self.shares.setdefault(name, []).append(f"{share:.0%} of {ceiling}")

    def write(self) -> Path:
        """bench/results/latest.json: figures, their targets, memory, the machine, the time."""
        RESULTS.mkdir(exist_ok=True)
        path = RESULTS / "latest.json"
        content = {
            "at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "machine": machine(),
            "figures": self.values,
            "shares": self.shares,
            "targets": {name: target.value for name, target in TARGETS.items()},
            "resident_mib": {name: memory.resident_mib() for name, memory in self.memory.items()},
        }
        path.write_text(json.dumps(content, indent=1) + "\n")
        return path

    def table(self) -> str:
        """Markdown: the figures, and what processes weighed."""
        resident = {name: memory.resident_mib() for name, memory in self.memory.items()}
        return f"{table(self.values, self.shares)}\n\n{memory_table(resident)}"


def table(values: Mapping[str, float], shares: Mapping[str, Sequence[str]]) -> str:
    """Markdown, one row a figure."""
    rows = ["| figure | measured | target | |", "| --- | ---: | ---: | --- |"]
    for name, value in values.items():
        target = TARGETS.get(name)
        wanted = f"{'≤' if target.at_most else '≥'} {spelled(target.value)}" if target else ""
        missed = "" if target is None or target.met_by(value) else "missed"
        note = ", ".join(filter(None, [missed, *shares.get(name, [])]))
        rows.append(f"| {name} | {spelled(value)} | {wanted} | {note} |")
    return "\n".join(rows)


def memory_table(resident: Mapping[str, Resident]) -> str:
    """Markdown, one row a process, one column a step."""
    rows = ["| resident MiB, before / greatest / after | " + " | ".join(resident) + " |"]
    rows.append("| --- |" + " ---: |" * len(resident))
    for process in sorted({name for step in resident.values() for name in step["before"]}):
        cells = [
            " / ".join(f"{step[part].get(process, 0):.0f}" for part in ("before", "greatest", "after"))
            for step in resident.values()
        ]
        rows.append(f"| {process} | " + " | ".join(cells) + " |")
    return "\n".join(rows)


def spelled(value: float) -> str:
    """Three or four digits, with thousands and millions as words of one letter."""
    for limit, unit in ((1e6, "M"), (1e4, "k")):
        if abs(value) >= limit:
            return f"{value / (1e6 if unit == 'M' else 1e3):.3g}{unit}"
    return f"{value:.3g}"


def machine() -> str:
    processor = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        models = [
            line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line
        ]
        processor = models[0] if models else processor
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} cores {processor}, {memory_gib:.0f} GiB, Python {platform.python_version()}"
