"""`rekam datasets`."""

from __future__ import annotations

import click

from rekam.cli.output import command_options, print_json, print_table
from rekam.client import Client


@click.command("datasets")
@click.argument("experiment_ids", nargs=-1, required=True)
@command_options
def datasets(client: Client, as_json: bool, experiment_ids: tuple[str, ...]) -> None:
    """List the datasets that runs of 1 to 20 experiments read."""
    found = client.search_datasets(experiment_ids)
    if as_json:
        print_json(found)
        return
    print_table(
        ("experiment", "name", "digest", "context"),
        [(each.experiment_id, each.name, each.digest, each.context) for each in found],
    )
