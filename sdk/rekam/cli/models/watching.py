"""`rekam models watch`."""

from __future__ import annotations

import click

from rekam.cli.models.describing import change_text
from rekam.cli.models.group import models
from rekam.cli.output import command_options, moment, print_json_line
from rekam.client import Client
from rekam.errors import ChangesMissed
from rekam.registry import Registry


@models.command("watch")
@click.argument("names", nargs=-1)
@click.option("--prefix", default="", help="And models whose names begin so.")
@click.option("--changes", "most", type=click.IntRange(1), help="End after so many.")
@command_options
def watch(client: Client, as_json: bool, names: tuple[str, ...], prefix: str, most: int | None) -> None:
    """Print every change as it happens, until Ctrl-C.

    Of the models with these NAMES, or of all. With --json a document a line. While the registry is away it
    is waited for, and nothing is missed.
    """
    with Registry(client.tracking_uri, names=names, prefix=prefix) as registry:
        changes = registry.changes()
        click.echo(f"watching {len(registry.registered_models())} models", err=True)
        left = most
        while left is None or left > 0:
            try:
                change = next(changes)
            except ChangesMissed as error:
                click.echo(f"Warning: {error}", err=True)
                continue
            if as_json:
                print_json_line(change)
            else:
                reason = f": {change.reason}" if change.reason else ""
                click.echo(
                    f"{moment(change.timestamp)}  {change.name}  {change_text(change)}  "
                    f"(by {change.actor or 'nobody'}{reason})"
                )
            left = None if left is None else left - 1
