"""`rekam runs`."""

from __future__ import annotations

import click

from rekam.cli.experiments import VIEWS
from rekam.cli.output import (
    ListsByDefault,
    command_options,
    moment,
    print_fields,
    print_json,
    print_json_line,
    print_table,
)
from rekam.client import Client
from rekam.entities import Experiment, Run, ViewType
from rekam.errors import NotFound


@click.group(cls=ListsByDefault)
def runs() -> None:
    """Runs: list (the default), show, console, diff, writers, delete, restore."""


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


@runs.command("console")
@click.argument("run_id")
@click.option("--stream", default="stdout", show_default=True, help="For example: stderr")
@click.option("--rank", type=int, help="Only what this rank wrote.")
@click.option("--writer", help="Only what this writer wrote.")
@click.option("--tail", type=click.IntRange(1, 100_000), help="Only the last so many lines.")
@click.option("--follow", is_flag=True, help="Go on with lines as they come, until Ctrl-C.")
@command_options
def console(
    client: Client,
    as_json: bool,
    run_id: str,
    stream: str,
    rank: int | None,
    writer: str | None,
    tail: int | None,
    follow: bool,
) -> None:
    """Print what a run wrote to its console.

    Lines of several ranks are marked with the rank. With --json every line is a document.
    """
    ranks = {text.rank for text in client.list_texts(run_id) if text.stream == stream}
    marked = rank is None and writer is None and len(ranks) > 1
    lines = client.stream_text(run_id, stream, rank=rank, writer=writer, tail=tail or 0, follow=follow)
    for line in lines:
        if as_json:
            print_json_line(line)
        else:
            click.echo(f"[{'-' if line.rank is None else line.rank}] {line.text}" if marked else line.text)


@runs.command("diff")
@click.argument("run_id")
@command_options
def diff(client: Client, as_json: bool, run_id: str) -> None:
    """Print the changes that were not committed when a run started."""
    lines = client.get_text(run_id, "git.diff")
    if as_json:
        print_json(lines)
    else:
        for line in lines:
            click.echo(line.text)


@runs.command("writers")
@click.argument("run_id")
@command_options
def writers(client: Client, as_json: bool, run_id: str) -> None:
    """List the writers of a run: their rank, whether they live, how much of theirs has arrived."""
    found = client.get_completeness(run_id)
    if as_json:
        print_json(found)
        return
    print_table(
        ("writer", "rank", "alive", "last heard (UTC)", "points", "complete up to", "missing"),
        [
            (
                each.writer,
                each.rank,
                "" if each.alive is None else "yes" if each.alive else "no",
                moment((each.heard_us or 0) // 1000),
                each.points,
                each.complete_up_to,
                ", ".join(f"{first}-{last}" for first, last in each.gaps),
            )
            for each in found
        ],
    )


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
