"""`rekam experiments`."""

from __future__ import annotations

import click

from rekam.cli.output import ListsByDefault, command_options, moment, print_fields, print_json, print_table
from rekam.client import Client
from rekam.entities import Experiment, ViewType

VIEWS = {"active": ViewType.ACTIVE_ONLY, "deleted": ViewType.DELETED_ONLY, "all": ViewType.ALL}


@click.group(cls=ListsByDefault)
def experiments() -> None:
    """Experiments: list (the default), create, show, rename, delete, restore."""


@experiments.command("list")
@click.option("--filter", "filter_string", default="", help="For example: name LIKE 'House%'")
@click.option("--order-by", multiple=True, help="For example: 'name DESC'. May be repeated.")
@click.option("--view", type=click.Choice(list(VIEWS)), default="active", show_default=True)
@click.option("--max-results", type=click.IntRange(1, 50_000), default=100, show_default=True)
@command_options
def list_experiments(
    client: Client, as_json: bool, filter_string: str, order_by: tuple[str, ...], view: str, max_results: int
) -> None:
    """List experiments that match a filter."""
    found = client.search_experiments(VIEWS[view], max_results, filter_string, order_by)
    if as_json:
        print_json(found)
        return
    print_table(
        ("id", "name", "stage", "created (UTC)"),
        [(each.experiment_id, each.name, each.lifecycle_stage, moment(each.creation_time)) for each in found],
    )
    if found.token:
        click.echo(f"(the first {max_results}; --max-results shows more)", err=True)


@experiments.command("create")
@click.argument("name")
@click.option("--artifact-location", help="URI under which the runs' artifacts lie.")
@command_options
def create(client: Client, as_json: bool, name: str, artifact_location: str | None) -> None:
    """Create an experiment and print its id."""
    experiment_id = client.create_experiment(name, artifact_location)
    if as_json:
        print_json({"experiment_id": experiment_id})
    else:
        click.echo(experiment_id)


@experiments.command("show")
@click.argument("experiment")
@click.option("--by-name", is_flag=True, help="EXPERIMENT is a name, not an id.")
@command_options
def show(client: Client, as_json: bool, experiment: str, by_name: bool) -> None:
    """Show one experiment."""
    found = client.get_experiment_by_name(experiment) if by_name else client.get_experiment(experiment)
    if found is None:
        raise click.ClickException(f"there is no experiment named {experiment!r}")
    if as_json:
        print_json(found)
    else:
        print_fields(_fields(found))


@experiments.command("rename")
@click.argument("experiment_id")
@click.argument("name")
@command_options
def rename(client: Client, as_json: bool, experiment_id: str, name: str) -> None:
    """Rename an experiment."""
    client.rename_experiment(experiment_id, name)
    _done(client, as_json, experiment_id, "renamed")


@experiments.command("delete")
@click.argument("experiment_id")
@command_options
def delete(client: Client, as_json: bool, experiment_id: str) -> None:
    """Delete an experiment and its runs; restore brings them back."""
    client.delete_experiment(experiment_id)
    _done(client, as_json, experiment_id, "deleted")


@experiments.command("restore")
@click.argument("experiment_id")
@command_options
def restore(client: Client, as_json: bool, experiment_id: str) -> None:
    """Bring back a deleted experiment and all its runs."""
    client.restore_experiment(experiment_id)
    _done(client, as_json, experiment_id, "restored")


def _done(client: Client, as_json: bool, experiment_id: str, what: str) -> None:
    if as_json:
        print_json(client.get_experiment(experiment_id))
    else:
        click.echo(f"experiment {experiment_id} {what}")


def _fields(experiment: Experiment) -> dict[str, object]:
    return {
        "id": experiment.experiment_id,
        "name": experiment.name,
        "stage": experiment.lifecycle_stage,
        "artifacts": experiment.artifact_location,
        "created (UTC)": moment(experiment.creation_time),
        "updated (UTC)": moment(experiment.last_update_time),
        **{f"tag {key}": value for key, value in sorted(experiment.tags.items())},
    }
