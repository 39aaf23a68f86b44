"""`rekam runs`."""

from __future__ import annotations

import click

from rekam.cli.experiments import VIEWS
from rekam.cli.output import ListsByDefault, command_options, moment, print_fields, print_json, print_table
from rekam.client import Client
from rekam.entities import Experiment, Run, ViewType
from rekam.errors import NotFound


@click.group(cls=ListsByDefault)
def runs() -> None:
    """Runs: list (the default), show, delete, restore."""


@runs.command("list")
@click.option("--experiment", "names", multiple=True, help="Name of an experiment. May be repeated.")
@click.option("--experiment-id", "ids", multiple=True, help="Id of an experiment. May be repeated.")
@click.option("--filter", "filter_string", default="", help="For example: metrics.loss < 0.1")
@click.option("--order-by", multiple=True, help="For example: 'metrics.loss ASC'. May be repeated.")
@click.option("--view", type=click.Choice(list(VIEWS)), default="active", show_default=True)
@click.option("--max-results", type=click.IntRange(1, 50_000), default=100, show_default=True)
@click.option("--metric", "metric_keys", multiple=True, help="Metric to show as a column. May be repeated.")
@click.option("--param", "param_keys", multiple=True, help="Param to show as a column. May be repeated.")
@command_options
def list_runs(
    client: Client,
    as_json: bool,
    names: tuple[str, ...],
    ids: tuple[str, ...],
    filter_string: str,
    order_by: tuple[str, ...],
    view: str,
    max_results: int,
    metric_keys: tuple[str, ...],
    param_keys: tuple[str, ...],
) -> None:
    """List runs of the named experiments, or of all, that match a filter."""
    found = client.search_runs(
        _experiments(client, names, ids), filter_string, VIEWS[view], max_results, order_by
    )
    if as_json:
        print_json(found)
        return
    print_table(
        ("run id", "name", "experiment", "status", "started (UTC)", *metric_keys, *param_keys),
        [
            (
                run.info.run_id,
                run.info.run_name,
                run.info.experiment_id,
                run.info.status,
                moment(run.info.start_time),
                *(run.data.metrics.get(key) for key in metric_keys),
                *(run.data.params.get(key) for key in param_keys),
            )
            for run in found
        ],
    )
    if found.token:
        click.echo(f"(the first {max_results}; --max-results shows more)", err=True)


@runs.command("show")
@click.argument("run_id")
@command_options
def show(client: Client, as_json: bool, run_id: str) -> None:
    """Show one run with its params, tags and latest metrics."""
    run = client.get_run(run_id)
    if as_json:
        print_json(run)
    else:
        print_fields(_fields(run))


@runs.command("delete")
@click.argument("run_id")
@command_options
def delete(client: Client, as_json: bool, run_id: str) -> None:
    """Delete a run; restore brings it back."""
    client.delete_run(run_id)
    _done(client, as_json, run_id, "deleted")


@runs.command("restore")
@click.argument("run_id")
@command_options
def restore(client: Client, as_json: bool, run_id: str) -> None:
    """Bring back a deleted run."""
    client.restore_run(run_id)
    _done(client, as_json, run_id, "restored")


def _experiments(client: Client, names: tuple[str, ...], ids: tuple[str, ...]) -> list[str]:
    if not names and not ids:
        every: list[Experiment] = client.search_experiments(ViewType.ALL, 50_000)
        return [each.experiment_id for each in every]
    chosen = list(ids)
    for name in names:
        found = client.get_experiment_by_name(name)
        if found is None:
            raise NotFound(f"there is no experiment named {name!r}", field="--experiment")
        chosen.append(found.experiment_id)
    return chosen


def _done(client: Client, as_json: bool, run_id: str, what: str) -> None:
    if as_json:
        print_json(client.get_run(run_id))
    else:
        click.echo(f"run {run_id} {what}")


def _fields(run: Run) -> dict[str, object]:
    info = run.info
    return {
        "run id": info.run_id,
        "name": info.run_name,
        "experiment": info.experiment_id,
        "user": info.user_id,
        "status": info.status,
        "stage": info.lifecycle_stage,
        "started (UTC)": moment(info.start_time),
        "ended (UTC)": moment(info.end_time),
        "artifacts": info.artifact_uri,
        **{f"param {key}": value for key, value in sorted(run.data.params.items())},
        **{
            f"metric {key}": f"{metric.value:.6g} (step {metric.step})"
            for key, metric in sorted(run.data.latest.items())
        },
        **{f"tag {key}": value for key, value in sorted(run.data.tags.items())},
    }
