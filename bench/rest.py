"""MLflow's REST API: the work that its peers are given (`bench/peers`), on this stack."""

from __future__ import annotations

from bench.peers import work
from bench.peers.rekam import RekamTracker
from bench.report import Figures
from bench.stack import Stack

HISTORY = 1_000_000


def measure_rest(stack: Stack, figures: Figures) -> None:
    """Figures `rest_*`."""
    tracker = RekamTracker(stack)
    for step in (work.log_metric, work.log_batch, work.fill_runs, work.search):
        for name, value in step(tracker).items():
            figures.add(f"rest_{name}", value)
    (seconds,) = work.history(tracker, HISTORY).values()
    figures.add("rest_history_points_per_s", HISTORY / seconds)
