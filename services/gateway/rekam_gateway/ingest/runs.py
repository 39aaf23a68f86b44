"""Which runs take points: asked of the tracking service, and remembered for a moment.

That a run is deleted is never remembered, so that it takes points again as soon as it is restored.
That it is active is remembered for some seconds, and recalled by tracking before it answers
a delete of the run or its experiment: a write that begins after that answer is refused by every
gateway.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass

from rekam_gateway.ingest.tracking import TrackingClient
from rekam_proto.tracking.v1 import read_pb2
from rekam_runtime.errors import FailedPrecondition
from rekam_runtime.eventlog.port import EventLog
from rekam_runtime.eventlog.recall import KEPT_S, Keeper

# Runs that are remembered; of one that was forgotten tracking is asked again.
REMEMBERED = 16_384


@dataclass(frozen=True, slots=True)
class Moment:
    """When tracking was asked, and how often something had been recalled by then."""

    time: float
    recalls: int


@dataclass(frozen=True, slots=True)
class _Active:
    experiment_id: str
    asked: float


class Runs:
    """Runs that take points; `keeper` must run for anything to be remembered."""

    def __init__(self, tracking: TrackingClient, log: EventLog) -> None:
        self._tracking = tracking
        self._active: OrderedDict[str, _Active] = OrderedDict()
        self._recalls = 0
        self.keeper = Keeper(log, self._recalled)

    async def require_active(self, run_id: str, field: str = "run_id") -> None:
        """Raises NotFound or FailedPrecondition when the run takes no points now."""
        asked = self.moment()
        state = await self._tracking.run_state(run_id)
        if state.lifecycle == read_pb2.LIFECYCLE_DELETED:
            raise FailedPrecondition(
                f"The run {run_id} must be in the 'active' state. Current state is deleted.", field=field
            )
        self.note_active(run_id, state.experiment_id, asked)

    async def require_lately_active(self, run_id: str) -> None:
        """The same, from memory if a moment ago it did."""
        known = self._active.get(run_id)
        if known is None or self.moment().time - known.asked > KEPT_S or not self.keeper.known:
            await self.require_active(run_id)

    def moment(self) -> Moment:
        # Not the loop's time: that one stands still while the loop is held up.
        return Moment(time.monotonic(), self._recalls)

    def note_active(self, run_id: str, experiment_id: str, asked: Moment) -> None:
        """Remember what tracking answered, unless something was recalled while it was asked."""
        if asked.recalls != self._recalls:
            return
        self._active[run_id] = _Active(experiment_id, asked.time)
        self._active.move_to_end(run_id)
        if len(self._active) > REMEMBERED:
            self._active.popitem(last=False)

    def forget(self) -> None:
        """Drop everything, as when the log is emptied."""
        self._recalls += 1
        self._active.clear()

    def _recalled(self, aggregate: str) -> None:
        self._recalls += 1
        kind, _, id = aggregate.partition("/")
        if kind == "run":
            self._active.pop(id, None)
        elif kind == "experiment":
            for run_id in [run_id for run_id, known in self._active.items() if known.experiment_id == id]:
                del self._active[run_id]
