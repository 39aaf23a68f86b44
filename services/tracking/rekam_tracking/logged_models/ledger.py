"""Logged models as decided by the log: the commands carried out, the answers folded."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping, Sequence

from google.protobuf.message import Message

from rekam_proto.tracking.v1 import logged_model_pb2
from rekam_runtime.eventlog.envelope import Cause
from rekam_runtime.eventlog.port import EventLog
from rekam_runtime.eventlog.subjects import Subjects
from rekam_tracking import events, names
from rekam_tracking.logged_models import command
from rekam_tracking.logged_models.command import LoggedModelState
from rekam_tracking.standings import Experiments

_MAX_WEIGHT = 8 * 1024 * 1024


class LoggedModels:
    """All models; those written to lately stay folded."""

    def __init__(self, log: EventLog, experiments: Experiments) -> None:
        self._experiments = experiments
        self._kept = Subjects(
            log,
            events.STREAM,
            events.decode,
            subject=events.model_subject,
            kind="model",
            empty=LoggedModelState,
            max_weight=_MAX_WEIGHT,
        )

    def forget(self) -> None:
        """Drop what is folded, as after the log was emptied."""
        self._kept.forget()

    async def create(
        self,
        model_id: str,
        *,
        experiment_id: str,
        name: str,
        model_type: str,
        source_run_id: str,
        tags: Mapping[str, str],
        params: Mapping[str, str],
        cause: Cause,
    ) -> LoggedModelState:
        """The model created, or created before by the same writer; model_id: empty for a new one."""
        model_id = model_id or f"m-{uuid.uuid4().hex}"
        name = name or names.generate()
        now_ms = _now_ms()
        await self._experiments.catch_up()
        model = self._kept.get(model_id)
        await model.command(
            lambda state: command.create(
                state,
                model_id=model_id,
                experiment_id=experiment_id,
                experiment=self._experiments.standing(experiment_id),
                name=name,
                model_type=model_type,
                source_run_id=source_run_id,
                tags=tags,
                params=params,
                now_ms=now_ms,
                origin=cause.origin,
            ),
            cause,
        )
        return model.state

    async def finalize(
        self, model_id: str, status: logged_model_pb2.LoggedModelStatus, cause: Cause
    ) -> LoggedModelState:
        now_ms = _now_ms()
        return await self._change(
            model_id,
            lambda state: command.finalize(state, status, now_ms=now_ms, origin=cause.origin),
            cause,
        )

    async def delete(self, model_id: str, cause: Cause) -> None:
        now_ms = _now_ms()

        def decide(state: LoggedModelState) -> Message | None:
            if not state.model_id:
                raise command.not_found(model_id)
            return command.delete(state, now_ms=now_ms)

        await self._kept.get(model_id).command(decide, cause)

    async def set_tags(self, model_id: str, tags: Mapping[str, str], cause: Cause) -> None:
        await self._change(model_id, lambda state: command.set_tags(state, tags, cause.origin), cause)

    async def record_version(self, model_id: str, name: str, version: int, cause: Cause) -> None:
        await self._change(
            model_id, lambda state: command.record_version(state, name, version, cause.origin), cause
        )

    async def delete_tags(self, model_id: str, keys: Sequence[str], cause: Cause) -> None:
        await self._change(model_id, lambda state: command.delete_tags(state, keys, cause.origin), cause)

    async def log_params(self, model_id: str, params: Mapping[str, str], cause: Cause) -> None:
        await self._change(model_id, lambda state: command.log_params(state, params, cause.origin), cause)

    async def log_metrics(
        self, model_id: str, metrics: Sequence[logged_model_pb2.LoggedModelMetric], cause: Cause
    ) -> None:
        await self._change(model_id, lambda state: command.log_metrics(state, metrics, cause.origin), cause)

    async def _change(
        self, model_id: str, decide: Callable[[LoggedModelState], Message | None], cause: Cause
    ) -> LoggedModelState:
        def decide_on_model(state: LoggedModelState) -> Message | None:
            command.require(state, model_id)
            return decide(state)

        model = self._kept.get(model_id)
        await model.command(decide_on_model, cause)
        return model.state


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
