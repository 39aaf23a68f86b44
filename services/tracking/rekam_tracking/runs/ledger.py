"""Runs as decided by the log: the commands carried out, the answers folded."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from google.protobuf.message import Message

from rekam_proto.tracking.v1 import dataset_pb2, read_pb2, run_pb2
from rekam_runtime.errors import NotFound, Refused, Retry
from rekam_runtime.eventlog.envelope import Cause
from rekam_runtime.eventlog.port import EventLog
from rekam_runtime.eventlog.recall import Recall
from rekam_runtime.eventlog.subjects import Subject, Subjects
from rekam_tracking import events, names
from rekam_tracking.runs import command
from rekam_tracking.runs.command import RunState
from rekam_tracking.standings import Experiments, Standing


class Runs:
    """All runs; those written to lately stay folded."""

    def __init__(self, log: EventLog, experiments: Experiments, *, max_weight: int, recall: Recall) -> None:
        """max_weight: about how many bytes the folded runs may take."""
        self._experiments = experiments
        self._recall = recall
        self._kept = Subjects(
            log,
            events.STREAM,
            events.decode,
            subject=events.run_subject,
            kind="run",
            empty=RunState,
            max_weight=max_weight,
        )

    def forget(self) -> None:
        """Drop what is folded, as after the log was emptied."""
        self._kept.forget()

    async def create(
        self,
        run_id: str,
        *,
        experiment_id: str,
        experiment_name: str,
        name: str,
        user: str,
        start_ms: int,
        tags: Mapping[str, str],
        params: Mapping[str, str],
        cause: Cause,
    ) -> tuple[RunState, Standing]:
        """The run created, or created before by the same writer.

        run_id: empty for a new one. The experiment is named by id or by name; by name it is
        created when there is none.
        """
        run_id = run_id or uuid.uuid4().hex
        chosen = command.choose_name(name, tags, names.generate())
        run = self._kept.get(run_id)
        experiment = await self._experiment_for(run, experiment_id, experiment_name, cause)
        await run.command(
            lambda state: command.create(
                state,
                run_id=run_id,
                experiment_id=experiment_id,
                experiment=experiment,
                name=chosen,
                user=user,
                start_ms=start_ms,
                tags=tags,
                params=params,
                origin=cause.origin,
            ),
            cause,
        )
        return run.state, self._standing_of(run.state)

    async def _experiment_for(
        self, run: Subject[RunState], id: str, name: str, cause: Cause
    ) -> Standing | None:
        """The experiment of a creation; None when there is none, which matters only to a new run."""
        if id and self._experiments.remembered:
            found = self._experiments.standing(id)
            if found is not None and found.lifecycle == read_pb2.LIFECYCLE_ACTIVE:
                return found
        await self._experiments.catch_up()
        if id:
            return self._experiments.standing(id)
        if (found := self._experiments.standing_by_name(name)) is not None:
            return found
        # A creation that comes again, late, must not create an experiment that was renamed since.
        await run.catch_up()
        if run.state.run_id:
            return None
        return await self._experiments.ensure(name, Cause(cause.actor, traceparent=cause.traceparent))

    async def update(
        self,
        run_id: str,
        *,
        status: run_pb2.RunStatus | None,
        end_ms: int | None,
        name: str | None,
        cause: Cause,
    ) -> tuple[RunState, Standing]:
        """The run after it."""
        return await self._change(
            run_id,
            lambda state, experiment: command.update(
                state, experiment, status=status, end_ms=end_ms, name=name, origin=cause.origin
            ),
            cause,
        )

    async def delete(self, run_id: str, cause: Cause) -> None:
        """Once it has returned nobody takes points for the run any more."""
        now_ms = time.time_ns() // 1_000_000
        await self._experiments.catch_up()  # a run of an experiment that was restored is not deleted
        await self._change(run_id, lambda state, within: command.delete(state, within, now_ms=now_ms), cause)
        await self._recall(f"run/{run_id}")

    async def restore(self, run_id: str, cause: Cause) -> None:
        await self._experiments.catch_up()
        await self._change(run_id, command.restore, cause)

    async def log_params(self, run_id: str, params: Mapping[str, str], cause: Cause) -> None:
        await self._change(
            run_id, lambda state, within: command.log_params(state, within, params, cause.origin), cause
        )

    async def set_tags(self, run_id: str, tags: Mapping[str, str], cause: Cause) -> None:
        await self._change(
            run_id, lambda state, within: command.set_tags(state, within, tags, cause.origin), cause
        )

    async def delete_tags(self, run_id: str, keys: Sequence[str], cause: Cause) -> None:
        await self._change(
            run_id, lambda state, within: command.delete_tags(state, within, keys, cause.origin), cause
        )

    async def log_inputs(
        self,
        run_id: str,
        datasets: Sequence[dataset_pb2.DatasetInput],
        models: Sequence[run_pb2.ModelInput],
        cause: Cause,
    ) -> None:
        await self._change(
            run_id,
            lambda state, within: command.log_inputs(state, within, datasets, models, cause.origin),
            cause,
        )

    async def log_outputs(self, run_id: str, models: Sequence[run_pb2.ModelOutput], cause: Cause) -> None:
        await self._change(
            run_id, lambda state, within: command.log_outputs(state, within, models, cause.origin), cause
        )

    async def record_model(self, run_id: str, model: Mapping[str, Any], cause: Cause) -> None:
        await self._change(
            run_id, lambda state, within: command.record_model(state, within, model, cause.origin), cause
        )

    async def state(self, run_id: str) -> tuple[RunState, Standing]:
        """The run as it stands in the log now."""
        run = self._kept.get(run_id)
        await self._experiments.catch_up()
        await run.catch_up()
        state = run.state
        _require(state, run_id)
        return state, self._standing_of(state)

    async def _change(
        self, run_id: str, decide: Callable[[RunState, Standing], Message | None], cause: Cause
    ) -> tuple[RunState, Standing]:
        def decide_on_run(state: RunState) -> Message | None:
            _require(state, run_id)
            return decide(state, self._standing_of(state))

        # The run's own subject guards the append; its experiment's standing is looked up.
        run = self._kept.get(run_id)
        if not self._experiments.remembered or not await self._decided(run, decide_on_run, cause):
            await self._experiments.catch_up()
            await run.command(decide_on_run, cause)
        return run.state, self._standing_of(run.state)

    async def _decided(
        self, run: Subject[RunState], decide: Callable[[RunState], Message | None], cause: Cause
    ) -> bool:
        """Not if it would be refused by what is remembered: the experiment may be restored since, or new."""
        try:
            await run.command(decide, cause)
        except (Refused, _NotKnownYet):
            return False
        return True

    def _standing_of(self, state: RunState) -> Standing:
        standing = self._experiments.standing(state.experiment_id)
        if standing is None:
            raise _NotKnownYet(f"experiment {state.experiment_id} of run {state.run_id} is not known here")
        return standing


class _NotKnownYet(Retry):
    """The catalog, as far as it is folded here, lacks the experiment of a run."""


def _require(state: RunState, run_id: str) -> None:
    if not state.run_id:
        raise NotFound(f"Run with id={run_id} not found", field="run_id")
