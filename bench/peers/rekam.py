"""Rekam as one of the trackers: a local stack, asked over MLflow's REST API."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from bench.load import Stream, make_plan, wait_until_queryable
from bench.peers.rest import RestClient, new_experiment
from bench.search_data import load_runs
from bench.stack import Stack, running_stack


class RekamTracker:
    """A local stack."""

    name = "rekam"

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        door = urlsplit(stack.http)
        self._address = door.hostname or "", door.port or 0
        self._experiment_id = new_experiment(*self._address)

    @contextmanager
    def connect(self) -> Iterator[RestClient]:
        client = RestClient(*self._address, self._experiment_id)
        try:
            yield client
        finally:
            client.close()

    def fill_history(self, points: int) -> tuple[str, str]:
        plan = make_plan(runs=1, keys=1, rows=1_000, points=points, seed=5)
        Stream(self.stack.channel).send(plan.opening + plan.frames, first_id=1)
        wait_until_queryable(self.stack.channel, plan)
        return plan.run_ids[0], "layer0/stat0"

    def fill_runs(self, runs: int, metric: str) -> str:
        return load_runs(self.stack.environment("tracking-serve")["REKAM_POSTGRES_URL"], runs)

    def resident_mib(self) -> dict[str, float]:
        """What serves metrics and runs; artifacts and registry have no part in this work."""
        weights = self.stack.resident_mib()
        parts = ("gateway", "tracking-serve", "tracking-project", "nats")
        return {"server": sum(weights[part] for part in parts), "postgres": weights["postgres"]}


@contextmanager
def running_rekam() -> Iterator[RekamTracker]:
    with running_stack() as stack:
        yield RekamTracker(stack)
