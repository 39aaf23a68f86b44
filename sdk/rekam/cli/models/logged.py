"""`rekam models logged`: the models that runs made."""

from __future__ import annotations

import click

from rekam.cli.models.group import models
from rekam.cli.output import command_options, moment, print_json, print_table
from rekam.client import Client
from rekam.entities import LoggedModel, ViewType


@models.command("logged")
@click.option("--experiment-id", "ids", multiple=True, help="Id of an experiment. May be repeated.")
@click.option("--filter", "filter_string", default="", help="For example: name = 'forest'")
@click.option("--order-by", multiple=True, help="For example: 'metrics.loss DESC'. May be repeated.")
@click.option("--max-results", type=click.IntRange(1, 50_000), default=100, show_default=True)
@command_options
def list_logged(
    client: Client,
    as_json: bool,
    ids: tuple[str, ...],
    filter_string: str,
    order_by: tuple[str, ...],
    max_results: int,
) -> None:
    """List models that runs have made.

    Of the named experiments, or of all.
    """
    if not ids:
        ids = tuple(each.experiment_id for each in client.search_experiments(ViewType.ALL, 50_000))
    orders = [_order(each) for each in order_by]
    found = client.search_logged_models(ids, filter_string, max_results=max_results, order_by=orders)
    if as_json:
        print_json(found)
        return
    print_table(
        ("model id", "name", "experiment", "status", "run", "created (UTC)"),
        [
            (
                model.model_id,
                model.name,
                model.experiment_id,
                model.status,
                model.source_run_id,
                moment(model.creation_timestamp),
            )
            for model in found
        ],
    )
    if found.token:
        click.echo(f"(the first {max_results}; --max-results shows more)", err=True)


def _order(written: str) -> dict[str, object]:
    """`key [ASC|DESC]`, as everywhere else on the command line."""
    key, _, direction = written.rpartition(" ")
    if direction.upper() in ("ASC", "DESC"):
        return {"field_name": key.strip(), "ascending": direction.upper() == "ASC"}
    return {"field_name": written}


def logged_fields(model: LoggedModel) -> dict[str, object]:
    """A logged model, a line each."""
    return {
        "model id": model.model_id,
        "name": model.name,
        "experiment": model.experiment_id,
        "status": model.status,
        "stage": model.lifecycle_stage,
        "type": model.model_type,
        "run": model.source_run_id,
        "artifacts": model.artifact_location,
        "created (UTC)": moment(model.creation_timestamp),
        "updated (UTC)": moment(model.last_updated_timestamp),
        **{f"param {key}": value for key, value in sorted(model.params.items())},
        **{
            f"metric {metric.key} (step {metric.step}, {metric.dataset_name or 'no dataset'})": metric.value
            for metric in model.metrics
        },
        **{f"tag {key}": value for key, value in sorted(model.tags.items())},
    }
