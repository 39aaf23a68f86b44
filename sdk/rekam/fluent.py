"""The fluent API: log into the run that is active, without holding on to anything.

A log call only appends to a buffer in memory: see docs/sdk.md for what happens then.
"""

from __future__ import annotations

import atexit
import logging
import sys
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from rekam import active, settings
from rekam.address import target_of
from rekam.client import MAX_PAGE, Client
from rekam.entities import Experiment, Metric, PagedList, Run, RunInfo, RunStatus, ViewType
from rekam.errors import FailedPrecondition, Invalid, RefusedRecords, SpoolError, Unavailable
from rekam.keys import check_key
from rekam.recorder import recorder_for
from rekam.run import ActiveRun
from rekam.run_names import random_name
from rekam.server import user_name
from rekam_proto.tracking.v1 import read_pb2, run_pb2

if TYPE_CHECKING:
    import pandas

log = logging.getLogger("rekam")

_RUN_NAME_TAG = "mlflow.runName"
_PARENT_TAG = "mlflow.parentRunId"
_NOTE_TAG = "mlflow.note.content"

_uri: str | None = None
_experiment: Experiment | None = None


# ---- where to ----


def set_tracking_uri(uri: str) -> None:
    """Log to the server at `uri` (grpc://host:port) from now on. Runs that are active stay where they are."""
    global _uri, _experiment
    target_of(uri)
    if uri != _uri:
        _experiment = None
    _uri = uri


def get_tracking_uri() -> str:
    """The tracking URI: as set, else REKAM_TRACKING_URI, else grpc://127.0.0.1:50051."""
    return _uri if _uri is not None else settings.current().tracking_uri


def set_experiment(experiment_name: str | None = None, experiment_id: str | None = None) -> Experiment:
    """Make an experiment the one that runs start in; created by name when there is none.

    With no server reachable the name is remembered, and the experiment made when the run is
    delivered; the answer's experiment_id is empty then. FailedPrecondition when it is deleted.
    """
    global _experiment
    if (experiment_name is None) == (experiment_id is None):
        raise Invalid("give exactly one of experiment_name and experiment_id", field="experiment_name")
    client = Client()
    try:
        if experiment_name is not None:
            _experiment = client.ensure_experiment(experiment_name)
        else:
            assert experiment_id is not None
            _experiment = client.get_experiment(experiment_id)
    except Unavailable as error:
        log.warning("going on offline: %s", error)
        _experiment = Experiment(experiment_id or "", experiment_name or "")
    if _experiment.lifecycle_stage == "deleted":
        found, _experiment = _experiment, None
        raise FailedPrecondition(
            f"Cannot set a deleted experiment {found.name!r} as the active experiment: restore it first.",
            field="experiment_id",
        )
    return _experiment


def create_experiment(
    name: str, artifact_location: str | None = None, tags: Mapping[str, Any] | None = None
) -> str:
    """Create an experiment; returns its id. AlreadyExists when the name is taken, also by a deleted one."""
    return Client().create_experiment(name, artifact_location, tags)


# ---- runs ----


def start_run(
    run_id: str | None = None,
    experiment_id: str | None = None,
    run_name: str | None = None,
    nested: bool = False,
    parent_run_id: str | None = None,
    tags: Mapping[str, Any] | None = None,
    description: str | None = None,
    rank: int | None = None,
) -> ActiveRun:
    """Start a run, or resume the one with `run_id` (or REKAM_RUN_ID), and make it the active one.

    nested: start it inside the active run, as its child. rank: of this process in a distributed
    job (REKAM_RANK or RANK); any number of ranks may resume one run at once, and those above 0
    leave its status alone. Waits up to REKAM_CONNECT_TIMEOUT for the server's word; without a
    server it warns and goes on, and everything is delivered later. Raises RefusedRecords when
    the server refuses the run, NotFound and FailedPrecondition for a run_id that is missing or deleted.
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
    _place(request, experiment_id)
    recorder = recorder_for(target_of(get_tracking_uri()))
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
        log.warning("run %s starts offline: %s", request.run_id, recorder.where())
    recorder.raise_refusals()
    return ActiveRun(info, tags, writer, recorder)


def _place(request: run_pb2.CreateRunRequest, experiment_id: str | None) -> None:
    """The experiment of a new run: as asked, as set, as the environment says, or Default."""
    options = settings.current()
    chosen = _experiment
    if experiment_id is not None:
        request.experiment_id = str(experiment_id)
    elif chosen is not None and chosen.experiment_id:
        request.experiment_id = chosen.experiment_id
    elif chosen is not None:
        request.experiment_name = chosen.name
    elif options.experiment_id:
        request.experiment_id = options.experiment_id
    elif options.experiment_name:
        request.experiment_name = options.experiment_name
    else:
        request.experiment_id = "0"


def _resume(run_id: str, rank: int | None, tags: Mapping[str, Any] | None) -> ActiveRun:
    experiment_id = ""
    info = None
    try:
        client = Client()
        experiment_id, stage, _ = client.run_state(run_id)
        if stage == "deleted":
            raise FailedPrecondition(
                f"Cannot start run with ID {run_id} because it is in the deleted state.", field="run_id"
            )
        info = client.get_run(run_id).info
    except Unavailable as error:
        log.warning("run %s is resumed offline, nobody checked that it exists: %s", run_id, error)
    recorder = recorder_for(target_of(get_tracking_uri()))
    writer = recorder.open_run(run_id, rank)
    if not rank:
        writer.update(status=run_pb2.RUN_STATUS_RUNNING)
    if info is None:
        info = RunInfo(run_id, experiment_id, "", user_name(), RunStatus.RUNNING, 0)
    run = ActiveRun(info, {}, writer, recorder)
    if tags:
        run.set_tags(tags)
    return run


def end_run(status: str = RunStatus.FINISHED) -> None:
    """End the active run with this status and flush; does nothing when there is none.

    Raises RefusedRecords when the server refused something. What is not acknowledged within
    REKAM_FLUSH_TIMEOUT stays in the spool, with a warning, and is delivered later.
    """
    run = active.current()
    if run is not None:
        end_active(run, status)


def end_active(run: ActiveRun, status: str, timeout: float | None = None) -> None:
    """End `run`, active or not."""
    active.leave(run)
    run.end(status, timeout=settings.current().flush_timeout if timeout is None else timeout)


def active_run() -> ActiveRun | None:
    """The run this thread logs into: its own, else the one that another thread started."""
    return active.current()


def last_active_run() -> Run | None:
    """The run that was started last in this process, as the server has it."""
    run = active.last()
    return None if run is None else Client().get_run(run.run_id)


def _run() -> ActiveRun:
    """The active run; one is started when there is none."""
    return active.current() or start_run()


# ---- logging ----


def log_metric(
    key: str,
    value: float,
    step: int | None = None,
    synchronous: bool | None = None,
    timestamp: int | None = None,
    run_id: str | None = None,
) -> None:
    """Log one value of a metric into the active run, which is started when there is none.

    step: any int64, 0 if None. timestamp: milliseconds since the epoch, now if None.
    value: a number, NaN and infinity included. run_id: another run than the active one.
    synchronous: return when it is acknowledged. Raises Invalid naming what is wrong.
    """
    time_us = None if timestamp is None else timestamp * 1000
    if run_id is None:
        (active.current() or start_run()).log_metric(key, value, step, time_us)
    else:
        _client().log_metric(run_id, key, value, timestamp, step)
    if synchronous:
        flush()


def log_metrics(
    metrics: Mapping[str, float],
    step: int | None = None,
    synchronous: bool | None = None,
    run_id: str | None = None,
    timestamp: int | None = None,
) -> None:
    """Log one value of each key (up to 65,536); see log_metric. Nothing is logged when one is bad."""
    time_us = None if timestamp is None else timestamp * 1000
    if run_id is None:
        (active.current() or start_run()).log_metrics(metrics, step, time_us)
    else:
        _client().log_metrics(run_id, metrics, timestamp, step)
    if synchronous:
        flush()


def log_param(key: str, value: Any, synchronous: bool | None = None) -> Any:
    """Log a write-once param (text of up to 6,000 characters); returns `value`.

    Raises Invalid when this process logged another value for it before.
    """
    log_params({key: value}, synchronous)
    return value


def log_params(params: Mapping[str, Any], synchronous: bool | None = None, run_id: str | None = None) -> None:
    """Log write-once params; see log_param. All of them or none."""
    if run_id is None:
        _run().log_params(params)
    else:
        _client().log_params(run_id, params)
    if synchronous:
        flush()


def set_tag(key: str, value: Any, synchronous: bool | None = None) -> None:
    """Set a tag of the active run (text of up to 8,000 characters)."""
    set_tags({key: value}, synchronous)


def set_tags(tags: Mapping[str, Any], synchronous: bool | None = None, run_id: str | None = None) -> None:
    """Set tags of the active run. Setting mlflow.runName renames it."""
    if run_id is None:
        _run().set_tags(tags)
    else:
        _client().set_tags(run_id, tags)
    if synchronous:
        flush()


def delete_tag(key: str) -> None:
    """Delete a tag of the active run. The server refuses it when it is not set."""
    _run().delete_tags(key)


def set_experiment_tag(key: str, value: Any) -> None:
    """Set a tag of the active experiment (text of up to 5,000 characters), now."""
    set_experiment_tags({key: value})


def set_experiment_tags(tags: Mapping[str, Any]) -> None:
    """Set tags of the active experiment, now."""
    client = Client()
    request = run_pb2.CreateRunRequest()
    _place(request, None)
    experiment_id = request.experiment_id or client.ensure_experiment(request.experiment_name).experiment_id
    for key, value in tags.items():
        client.set_experiment_tag(experiment_id, key, value)


def flush(timeout: float | None = None) -> None:
    """Return when everything this process logged is acknowledged: on disk in the server's log.

    timeout: seconds, REKAM_FLUSH_TIMEOUT if None. Raises RefusedRecords when the server refused
    some of it, DeliveryTimeout when it did not acknowledge in time (it is delivered later).
    """
    run = active.current()
    if run is not None:
        run.flush(settings.current().flush_timeout if timeout is None else timeout)
    else:
        Client().flush(timeout)


# ---- reading ----


def get_experiment(experiment_id: str) -> Experiment:
    """An experiment, also a deleted one."""
    return Client().get_experiment(experiment_id)


def get_experiment_by_name(name: str) -> Experiment | None:
    """The experiment of this name, also a deleted one; None when there is none."""
    return Client().get_experiment_by_name(name)


def delete_experiment(experiment_id: str) -> None:
    """Delete an experiment and its runs softly."""
    Client().delete_experiment(experiment_id)


def search_experiments(
    view_type: int = ViewType.ACTIVE_ONLY,
    max_results: int | None = None,
    filter_string: str | None = None,
    order_by: Sequence[str] | None = None,
) -> list[Experiment]:
    """Experiments that match, all of them unless max_results says otherwise."""
    client = Client()
    found: list[Experiment] = []
    token: str | None = None
    while max_results is None or len(found) < max_results:
        size = 1000 if max_results is None else min(1000, max_results - len(found))
        page = client.search_experiments(view_type, size, filter_string, order_by, token)
        found += page
        token = page.token
        if not token:
            break
    return found


def get_run(run_id: str) -> Run:
    """A run with its params, tags and latest metrics, also a deleted one."""
    return Client().get_run(run_id)


def delete_run(run_id: str) -> None:
    """Delete a run softly."""
    Client().delete_run(run_id)


def get_metric_history(run_id: str, key: str) -> list[Metric]:
    """All points of one metric; Client.get_history gives them as arrays, far faster."""
    return Client().get_metric_history(run_id, key)


@overload
def search_runs(
    experiment_ids: Sequence[str] | None = ...,
    filter_string: str = ...,
    run_view_type: int = ...,
    max_results: int = ...,
    order_by: Sequence[str] | None = ...,
    *,
    output_format: Literal["list"],
    search_all_experiments: bool = ...,
    experiment_names: Sequence[str] | None = ...,
) -> list[Run]: ...
@overload
def search_runs(
    experiment_ids: Sequence[str] | None = ...,
    filter_string: str = ...,
    run_view_type: int = ...,
    max_results: int = ...,
    order_by: Sequence[str] | None = ...,
    output_format: Literal["pandas", "list"] | None = ...,
    search_all_experiments: bool = ...,
    experiment_names: Sequence[str] | None = ...,
) -> pandas.DataFrame | list[Run]: ...
def search_runs(
    experiment_ids: Sequence[str] | None = None,
    filter_string: str = "",
    run_view_type: int = ViewType.ACTIVE_ONLY,
    max_results: int = 100_000,
    order_by: Sequence[str] | None = None,
    output_format: Literal["pandas", "list"] | None = None,
    search_all_experiments: bool = False,
    experiment_names: Sequence[str] | None = None,
) -> pandas.DataFrame | list[Run]:
    """Runs that match a filter, in the active experiment unless experiments are named.

    A pandas DataFrame (columns run_id, experiment_id, status, artifact_uri, start_time, end_time,
    metrics.*, params.*, tags.*) when pandas is installed, else a list of Run; output_format
    "pandas" or "list" decides. Unknown names in experiment_names are passed over. An error points
    at the character where the filter is wrong.
    """
    from rekam import tables

    if output_format not in (None, "pandas", "list"):
        raise Invalid(f"must be 'pandas' or 'list', got {output_format!r}", field="output_format")
    if experiment_ids is not None and experiment_names is not None:
        raise Invalid("give experiment_ids or experiment_names, not both", field="experiment_ids")
    client = Client()
    ids = _experiment_ids(client, experiment_ids, experiment_names, search_all_experiments)
    found: list[Run] = []
    token: str | None = None
    while ids and len(found) < max_results:
        size = min(10_000, MAX_PAGE, max_results - len(found))
        page: PagedList = client.search_runs(ids, filter_string, run_view_type, size, order_by, token)
        found += page
        token = page.token
        if not token:
            break
    if output_format == "list" or (output_format is None and not tables.has_pandas()):
        return found
    return tables.runs_frame(found)


def _experiment_ids(
    client: Client, ids: Sequence[str] | None, names: Sequence[str] | None, all_experiments: bool
) -> list[str]:
    if ids is not None:
        return [str(each) for each in ids]
    if names is not None:
        found = [client.get_experiment_by_name(name) for name in names]
        return [each.experiment_id for each in found if each is not None]
    if all_experiments:
        return [each.experiment_id for each in search_experiments(ViewType.ACTIVE_ONLY)]
    request = run_pb2.CreateRunRequest()
    _place(request, None)
    return _experiment_ids(
        client, [request.experiment_id] if request.experiment_id else None, [request.experiment_name], False
    )


_clients: dict[str, Client] = {}


def _client() -> Client:
    """A client that lives on, so that its writers do."""
    uri = get_tracking_uri()
    return _clients.setdefault(uri, Client(uri))


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
