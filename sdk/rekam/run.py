"""A run that this process writes."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from rekam.conversion import status_of
from rekam.data import DatasetInput, input_message
from rekam.entities import ModelOutput, RunData, RunInfo, RunStatus
from rekam.errors import FailedPrecondition, Invalid, RefusedRecords, SpoolError
from rekam.keys import check_key
from rekam.recorder import Recorder
from rekam.recording.writer import RunWriter, int_step
from rekam.run_files import RunFiles
from rekam_proto.tracking.v1 import read_pb2, run_pb2

if TYPE_CHECKING:
    from rekam.capture.capture import Capture

log = logging.getLogger("rekam")

MAX_PARAM_CHARS = 6_000
MAX_TAG_CHARS = 8_000


class ActiveRun(RunFiles):
    """What start_run() returns; a context manager that ends the run.

    Any number of threads may log into it, and forked children: they are other writers of
    the same run. Only the process that started it changes its status.
    """

    def __init__(self, info: RunInfo, tags: Mapping[str, str], writer: RunWriter, recorder: Recorder) -> None:
        self._info = info
        self._tags = dict(tags)
        self._params: dict[str, str] = {}
        self._writer = writer
        self._recorder = recorder
        self._owner = os.getpid()
        self._begun = time.monotonic()
        # What it records by itself; set by whoever starts it.
        self.capture: Capture | None = None
        self.ended = False

    @property
    def info(self) -> RunInfo:
        """What this process knows of the run; artifact_uri is known to the server only."""
        return self._info

    @property
    def data(self) -> RunData:
        """Params and tags that this process logged; get_run() tells what the server has."""
        return RunData(params=dict(self._params), tags=dict(self._tags))

    @property
    def run_id(self) -> str:
        """32 lower-case hex digits."""
        return self._info.run_id

    @property
    def recorder(self) -> Recorder:
        """What brings its records to the server."""
        return self._recorder

    @property
    def writer(self) -> str:
        """Name of this process among the run's writers."""
        return self._writer.writer

    def log_metric(self, key: str, value: float, step: int | None = None, time_us: int | None = None) -> None:
        """Log one value. step: any int64, 0 if None; time_us: microseconds since the epoch, now if None.

        Raises Invalid for a bad key, value or step. Only appends to a buffer.
        """
        if step.__class__ is not int:
            step = int_step(step)
        self._writer.log_metric(key, value, step, time_us)

    def log_metrics(
        self, metrics: Mapping[str, float], step: int | None = None, time_us: int | None = None
    ) -> None:
        """Log one value of each key; see log_metric. Nothing is logged when one is bad."""
        if step.__class__ is not int:
            step = int_step(step)
        self._writer.log_metrics(metrics, step, time_us)

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Log write-once params; values are turned into text of up to 6,000 characters.

        Raises Invalid at once when this process logged another value before. When another
        process did, the server refuses the record, which flush() and end_run() raise.
        """
        texts = {
            check_key(key, "param"): _text(value, MAX_PARAM_CHARS, f"params[{key!r}]")
            for key, value in params.items()
        }
        for key, value in texts.items():
            before = self._params.get(key)
            if before is not None and before != value:
                raise Invalid(
                    f"Changing param values is not allowed. Param with key={key!r} was already logged with "
                    f"value={before!r} for run ID={self.run_id!r}. Attempted logging new value {value!r}.",
                    field=f"params[{key!r}]",
                )
        new = {key: value for key, value in texts.items() if key not in self._params}
        if new:
            self._writer.log_params([read_pb2.Param(key=key, value=value) for key, value in new.items()])
            self._params.update(new)

    def set_tags(self, tags: Mapping[str, Any]) -> None:
        """Set tags; values are turned into text of up to 8,000 characters. The last value wins."""
        texts = {
            check_key(key, "tag"): _text(value, MAX_TAG_CHARS, f"tags[{key!r}]")
            for key, value in tags.items()
        }
        if texts:
            self._writer.set_tags([read_pb2.Tag(key=key, value=value) for key, value in texts.items()])
            self._tags.update(texts)

    def delete_tags(self, *keys: str) -> None:
        """Delete tags. The server refuses the record when one is not set."""
        self._writer.delete_tags([check_key(key, "tag") for key in keys])
        for key in keys:
            self._tags.pop(key, None)

    def log_inputs(self, datasets: Sequence[DatasetInput] = (), model_ids: Sequence[str] = ()) -> None:
        """Log datasets and models that the run reads; one that it has already adds nothing."""
        if datasets or model_ids:
            self._writer.log_inputs(
                list(map(input_message, datasets)), [run_pb2.ModelInput(model_id=id) for id in model_ids]
            )

    def log_outputs(self, models: Sequence[ModelOutput]) -> None:
        """Log models that the run made; one that it has already adds nothing."""
        if models:
            self._writer.log_outputs(
                [run_pb2.ModelOutput(model_id=model.model_id, step=model.step) for model in models]
            )

    def log_lines(self, stream: str, times_us: Sequence[int], lines: Sequence[str]) -> bool:
        """Log lines of text; False, and none is logged, when little room is left in the buffer."""
        return self._writer.log_lines(stream, times_us, lines)

    def flush(self, timeout: float) -> None:
        """Return when everything logged so far is acknowledged: on disk in the server's log.

        Raises RefusedRecords when the server refused some of it, DeliveryTimeout when it did not
        acknowledge within `timeout` seconds.
        """
        self._recorder.flush(timeout)

    def end(
        self, status: str = RunStatus.FINISHED, *, timeout: float, error: BaseException | None = None
    ) -> None:
        """Set status and end time, then flush for up to `timeout` seconds.

        error: what it ends by, if by one.

        Raises RefusedRecords; warns when not everything is acknowledged in time: it stays in the
        spool and is delivered later. In a forked child, and as a rank above 0, only flushes.
        """
        number = status_of(status)
        if self.ended:
            return
        self.ended = True
        if self.capture is not None:
            self.capture.stop(error)
        if os.getpid() == self._owner and not self._writer.rank:
            self._writer.update(status=number, end_ms=self._end_ms())
        if not self._recorder.settle(timeout, give_up_offline=True):
            log.warning(
                "run %s ended, but not everything is acknowledged: %s", self.run_id, self._recorder.where()
            )
        self._recorder.end_run(self._writer)
        self._recorder.raise_refusals()

    def _end_ms(self) -> int:
        """What the clock says, but when it was set back: no run ends before it started."""
        lasted_ms = int((time.monotonic() - self._begun) * 1000)
        return max(time.time_ns() // 1_000_000, self._info.start_time + lasted_ms)

    def __enter__(self) -> ActiveRun:
        if self.ended:
            raise FailedPrecondition(f"run {self.run_id} was ended", field="run_id")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        from rekam.fluent.runs import end_active

        if kind is None:
            end_active(self, RunStatus.FINISHED)
            return
        status = RunStatus.KILLED if issubclass(kind, KeyboardInterrupt) else RunStatus.FAILED
        try:
            end_active(self, status, error=error)
        except (RefusedRecords, SpoolError) as refused:
            # The program's own error is the one to see.
            log.error("while ending run %s: %s", self.run_id, refused)


def _text(value: Any, most: int, field: str) -> str:
    text = str(value)
    if len(text) <= most:
        return text
    log.warning("%s has %d characters: cut to %d", field, len(text), most)
    return text[:most]
