"""Reading experiments, runs and metrics of the server in use."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, overload

from rekam import tables
from rekam.calls.session import MAX_PAGE
from rekam.client import Client
from rekam.entities import Experiment, Metric, PagedList, Run, ViewType
from rekam.errors import Invalid
from rekam.fluent.destination import place
from rekam_proto.tracking.v1 import run_pb2

if TYPE_CHECKING:
    import pandas


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
    place(request, None)
    return _experiment_ids(
        client, [request.experiment_id] if request.experiment_id else None, [request.experiment_name], False
    )
