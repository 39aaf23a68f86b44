"""Logging into the active run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rekam import active, settings
from rekam.client import Client
from rekam.data import Dataset, input_of
from rekam.entities import ModelOutput
from rekam.errors import Invalid
from rekam.fluent.destination import get_tracking_uri
from rekam.fluent.runs import start_run
from rekam.run import ActiveRun


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


def log_input(
    dataset: Dataset,
    context: str | None = None,
    tags: Mapping[str, Any] | None = None,
    model_id: str | None = None,
) -> None:
    """Log a dataset that the active run reads; one that the run has already adds nothing.

    context: what for, such as "training"; it is found by `datasets.context`. model_id: a logged model
    that the run reads, too.
    """
    log_inputs([dataset], [context], [tags], [] if model_id is None else [model_id])


def log_inputs(
    datasets: Sequence[Dataset],
    contexts: Sequence[str | None] | None = None,
    tags_list: Sequence[Mapping[str, Any] | None] | None = None,
    model_ids: Sequence[str] = (),
) -> None:
    """Log datasets and models that the active run reads; see log_input. contexts, tags_list: one of each."""
    contexts = [None] * len(datasets) if contexts is None else contexts
    tags_list = [None] * len(datasets) if tags_list is None else tags_list
    if not len(datasets) == len(contexts) == len(tags_list):
        raise Invalid("there is one context and one dictionary of tags for each dataset", field="datasets")
    _run().log_inputs(list(map(input_of, datasets, contexts, tags_list)), model_ids)


def log_outputs(models: Sequence[ModelOutput]) -> None:
    """Log models that the active run made; one that the run has already adds nothing."""
    _run().log_outputs(models)


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


def _run() -> ActiveRun:
    """The active run; one is started when there is none."""
    return active.current() or start_run()


_clients: dict[str, Client] = {}


def _client() -> Client:
    """A client that lives on, so that its writers do."""
    uri = get_tracking_uri()
    return _clients.setdefault(uri, Client(uri))
