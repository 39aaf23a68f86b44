"""Starting, resuming and ending the active run."""

from __future__ import annotations

import atexit
import logging
import sys
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from rekam import active, settings
from rekam.address import target_of
from rekam.capture import switches
from rekam.capture.capture import Capture
from rekam.client import Client
from rekam.entities import Run, RunInfo, RunStatus
from rekam.errors import FailedPrecondition, NotFound, RefusedRecords, SpoolError, Unavailable
from rekam.fluent.destination import get_tracking_uri, place
from rekam.keys import check_key
from rekam.offline import is_offline
from rekam.recorder import Recorder, recorder_for
from rekam.run import ActiveRun
from rekam.run_names import random_name
from rekam.server import user_name
from rekam_proto.tracking.v1 import read_pb2, run_pb2

log = logging.getLogger("rekam")

_RUN_NAME_TAG = "mlflow.runName"
_PARENT_TAG = "mlflow.parentRunId"
_NOTE_TAG = "mlflow.note.content"


def start_run(
    run_id: str | None = None,
    experiment_id: str | None = None,
    run_name: str | None = None,
    nested: bool = False,
    parent_run_id: str | None = None,
    tags: Mapping[str, Any] | None = None,
    description: str | None = None,
    rank: int | None = None,
    log_system_metrics: bool | None = None,
    capture_console: bool | Literal["fd"] | None = None,
) -> ActiveRun:
    """Start a run, or resume the one with `run_id` (or REKAM_RUN_ID), and make it the active one.

    nested: start it inside the active run, as its child. rank: of this process in a distributed
    job (REKAM_RANK or RANK); any number of ranks may resume one run at once, and those above 0
    leave its status alone. log_system_metrics, capture_console: whether it records them; "fd" is
    also what C code and subprocesses write; None is as REKAM_SYSTEM_METRICS and REKAM_CONSOLE
    say, which is yes.

    Waits up to REKAM_CONNECT_TIMEOUT for the server's word; without a server it warns and goes
    on, and everything is delivered later. Raises RefusedRecords when the server refuses the run,
    NotFound and FailedPrecondition for a run_id that is missing or deleted.
    """
    outer = active.own()
    if outer is not None and not nested:
        raise FailedPrecondition(
            f"Run with UUID {outer.run_id} is already active. To start a new run, first end the current run "
            "with rekam.end_run(). To start a nested run, call start_run with nested=True",
            field="nested",
        )
    options = settings.current()
    rank = options.rank if rank is None else rank
    resumed = run_id or (options.run_id if outer is None else "")
    if resumed:
        run = _resume(resumed, rank, tags)
    else:
        tags = {key: str(value) for key, value in (tags or {}).items()}
        parent = parent_run_id or (enclosing.run_id if nested and (enclosing := active.current()) else None)
        if parent:
            tags[_PARENT_TAG] = parent
        if description is not None:
            tags[_NOTE_TAG] = description
        run = _create(experiment_id, run_name, tags, rank)
    active.enter(run)
    run.capture = Capture(
        run,
        system_metrics=switches.system_metrics_period(log_system_metrics),
        console=switches.console_mode(capture_console),
        # What a resumed run ran before is not told by what runs now.
        git=options.git and not resumed and not rank,
    )
    return run


def _create(
    experiment_id: str | None, run_name: str | None, tags: dict[str, str], rank: int | None
) -> ActiveRun:
    name = run_name or tags.get(_RUN_NAME_TAG) or random_name()
    source = Path(sys.argv[0]).name if sys.argv and sys.argv[0] else "<console>"
    tags = {
        "mlflow.user": user_name(),
        "mlflow.source.name": source,
        "mlflow.source.type": "LOCAL",
        **tags,
        _RUN_NAME_TAG: name,
    }
    for key in tags:
        check_key(key, "tag")
    request = run_pb2.CreateRunRequest(
        run_id=uuid.uuid4().hex,
        name=name,
        user=user_name(),
        start_ms=time.time_ns() // 1_000_000,
        tags=[read_pb2.Tag(key=key, value=value) for key, value in tags.items()],
        actor=user_name(),
    )
    place(request, experiment_id)
    recorder = recorder_for(target_of(get_tracking_uri()), offline=is_offline())
    writer = recorder.open_run(request.run_id, rank)
    writer.create(request)
    info = RunInfo(
        run_id=request.run_id,
        experiment_id=request.experiment_id,
        run_name=name,
        user_id=request.user,
        status=RunStatus.RUNNING,
        start_time=request.start_ms,
    )
    if not recorder.settle(settings.current().connect_timeout, give_up_offline=True):
        log.warning("run %s starts without a server: %s", request.run_id, recorder.where())
    recorder.raise_refusals()
    return ActiveRun(info, tags, writer, recorder)


def _resume(run_id: str, rank: int | None, tags: Mapping[str, Any] | None) -> ActiveRun:
    recorder = recorder_for(target_of(get_tracking_uri()), offline=is_offline())
    info = None
    try:
        info = _known(run_id, recorder)
    except Unavailable as error:
        if not recorder.offline:
            log.warning(
                "run %s is resumed without a server, nobody checked that it exists: %s", run_id, error
            )
    writer = recorder.open_run(run_id, rank, waits=info is None)
    if not rank:
        writer.update(status=run_pb2.RUN_STATUS_RUNNING)
    if info is None:
        info = RunInfo(run_id, "", "", user_name(), RunStatus.RUNNING, 0)
    run = ActiveRun(info, {}, writer, recorder)
    if tags:
        run.set_tags(tags)
    return run


def _known(run_id: str, recorder: Recorder) -> RunInfo:
    """What the server knows of a run that is to be resumed."""
    timeout = settings.current().connect_timeout
    client = Client(retry_timeout=timeout)
    # This process may have created it itself.
    if not recorder.offline and not recorder.settle(timeout, give_up_offline=True):
        raise Unavailable(f"{recorder.target} has not acknowledged what this process logged before")
    try:
        _, stage, _ = client.run_state(run_id)
    except NotFound:
        # It may lie in the spool of the process that was killed in it.
        recorder.recover(settings.current().flush_timeout)
        _, stage, _ = client.run_state(run_id)
    if stage == "deleted":
        raise FailedPrecondition(
            f"Cannot start run with ID {run_id} because it is in the deleted state.", field="run_id"
        )
    return client.get_run(run_id).info


def end_run(status: str = RunStatus.FINISHED) -> None:
    """End the active run with this status and flush; does nothing when there is none.

    Raises RefusedRecords when the server refused something. What is not acknowledged within
    REKAM_FLUSH_TIMEOUT stays in the spool, with a warning, and is delivered later.
    """
    run = active.current()
    if run is not None:
        end_active(run, status)


def end_active(
    run: ActiveRun, status: str, timeout: float | None = None, error: BaseException | None = None
) -> None:
    """End `run`, active or not. error: what it ends by."""
    active.leave(run)
    run.end(status, timeout=settings.current().flush_timeout if timeout is None else timeout, error=error)


def active_run() -> ActiveRun | None:
    """The run this thread logs into: its own, else the one that another thread started."""
    return active.current()


def last_active_run() -> Run | None:
    """The run that was started last in this process, as the server has it."""
    run = active.last()
    return None if run is None else Client().get_run(run.run_id)


def _end_all() -> None:
    """At exit: end what is active; FAILED when the program ends by an error that nobody caught."""
    failed = hasattr(sys, "last_value") and not hasattr(sys, "ps1")
    for run in active.every():
        try:
            end_active(
                run, RunStatus.FAILED if failed else RunStatus.FINISHED, settings.current().exit_timeout
            )
        except (RefusedRecords, SpoolError) as error:
            log.error("while ending run %s: %s", run.run_id, error)


# After the recorder's own, so it runs before it.
atexit.register(_end_all)
