"""What becomes of runs whose writers fall silent or are heard again, decided by the log."""

from __future__ import annotations

from rekam_runtime.eventlog.envelope import Cause
from rekam_runtime.eventlog.port import EventLog
from rekam_runtime.eventlog.subjects import Subjects
from rekam_tracking import events
from rekam_tracking.runs import command
from rekam_tracking.runs.command import RunState

_MAX_WEIGHT = 8 * 1024 * 1024
_CAUSE = Cause(actor=events.SERVICE)


class Fates:
    """The system's own decisions on runs; a client that was faster wins."""

    def __init__(self, log: EventLog) -> None:
        self._runs = Subjects(
            log,
            events.STREAM,
            events.decode,
            subject=events.run_subject,
            kind="run",
            empty=RunState,
            max_weight=_MAX_WEIGHT,
        )

    def forget(self) -> None:
        """Drop what is folded, as after the log was emptied."""
        self._runs.forget()

    async def crash(self, run_id: str, heard_ms: int) -> bool:
        """The run has crashed, unless it has ended; answers whether it had not before."""
        decided = await self._runs.get(run_id).command(
            lambda state: command.crash(state, heard_ms=heard_ms), _CAUSE
        )
        return decided is not None

    async def revive(self, run_id: str) -> bool:
        """The run goes on, if it had crashed; answers whether it had."""
        return await self._runs.get(run_id).command(command.revive, _CAUSE) is not None
