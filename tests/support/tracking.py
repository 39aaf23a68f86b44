"""The tracking service's write side on a log of the test's choice, as one replica has it."""

from __future__ import annotations

from dataclasses import dataclass

from rekam_proto.event.v1.envelope_pb2 import Origin
from rekam_proto.tracking.v1 import run_pb2
from rekam_runtime.eventlog.envelope import Cause
from rekam_runtime.eventlog.port import EventLog
from rekam_runtime.eventlog.recall import Recall
from rekam_tracking.events import control_stream
from rekam_tracking.experiments.catalog import Experiments
from rekam_tracking.runs.command import RunState
from rekam_tracking.runs.ledger import Runs


async def _nobody_remembers(_: str) -> None:
    pass


@dataclass(frozen=True)
class Replica:
    """What one `serve` process folds and decides with; several share a log."""

    experiments: Experiments
    runs: Runs

    @classmethod
    async def start(cls, log: EventLog, recall: Recall = _nobody_remembers) -> Replica:
        await log.ensure(control_stream())
        experiments = Experiments(log, "mlflow-artifacts:/", recall)
        await experiments.start()
        return cls(experiments, Runs(log, experiments, max_weight=1_000_000, recall=recall))

    async def run(
        self,
        run_id: str = "",
        *,
        experiment_id: str = "0",
        experiment_name: str = "",
        name: str = "n",
        tags: dict[str, str] | None = None,
        params: dict[str, str] | None = None,
        origin: Origin | None = None,
    ) -> RunState:
        """A created run."""
        state, _ = await self.runs.create(
            run_id,
            experiment_id="" if experiment_name else experiment_id,
            experiment_name=experiment_name,
            name=name,
            user="ada",
            start_ms=1_000,
            tags=tags or {},
            params=params or {},
            cause=Cause(origin=origin),
        )
        return state

    async def finish(self, run_id: str) -> None:
        await self.runs.update(
            run_id, status=run_pb2.RUN_STATUS_FINISHED, end_ms=2_000, name=None, cause=Cause()
        )
