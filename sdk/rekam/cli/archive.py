"""`rekam log archive`."""

from __future__ import annotations

import click

from rekam.calls.archive import Archive
from rekam.cli.messages import plain
from rekam.cli.output import command_options, print_json, print_table
from rekam.client import Client


@click.command()
@command_options
def archive(client: Client, as_json: bool) -> None:
    """Show what of each stream is archived, and where what the log still has begins.

    Records up to ARCHIVED are in the archive; points before FIRST are nowhere else.
    """
    answer = Archive(client.tracking_uri).streams()
    if as_json:
        print_json(plain(answer))
        return
    print_table(
        ("stream", "first", "last", "bytes", "archived", "segments", "archived bytes"),
        [
            (
                stream.name,
                stream.first,
                stream.last,
                f"{stream.bytes:,}",
                stream.archived,
                stream.segments,
                f"{stream.archived_bytes:,}",
            )
            for stream in answer.streams
        ],
    )
    if answer.waits_for:
        click.echo(f"The archive waits: {answer.waits_for}", err=True)
