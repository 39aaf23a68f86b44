"""The `rekam` command line.

Exit codes: 0 done; 1 refused, the message says why; 2 wrong usage; 3 the server is not there.
Other distributions add commands by the entry point group `rekam.commands`.
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points, version

import click

from rekam.cli.artifacts import artifacts
from rekam.cli.datasets import datasets
from rekam.cli.experiments import experiments
from rekam.cli.log import log
from rekam.cli.metrics import metrics
from rekam.cli.models import models
from rekam.cli.runs import runs
from rekam.cli.sync import sync
from rekam.cli.verify import verify
from rekam.cli.webhooks import webhooks


class _Commands(click.Group):
    """The SDK's commands and, imported only when used, those of installed distributions."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *_added()})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        own = super().get_command(ctx, cmd_name)
        if own is not None:
            return own
        added = _added().get(cmd_name)
        if added is None:
            return None
        command = added.load()
        assert isinstance(command, click.Command), f"entry point {added.value} is no command"
        return command


def _added() -> dict[str, EntryPoint]:
    return {each.name: each for each in entry_points(group="rekam.commands")}


@click.group(cls=_Commands, help="Record what machine-learning work produces, and read it back.")
@click.version_option(version("rekam"), prog_name="rekam")
def main() -> None:
    """Nothing to do before a command."""


main.add_command(experiments)
main.add_command(runs)
main.add_command(artifacts)
main.add_command(metrics)
main.add_command(datasets)
main.add_command(models)
main.add_command(webhooks)
main.add_command(sync)
main.add_command(log)
main.add_command(verify)
