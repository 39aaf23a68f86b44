"""`rekam log`: for operators. The archive, what projections set aside, rebuilding them from the log."""

from __future__ import annotations

import click

from rekam.cli.archive import archive
from rekam.cli.quarantine import quarantine
from rekam.cli.rebuild import rebuild


@click.group()
def log() -> None:
    """For operators: the archive, what could not be applied, rebuilding projections from the log."""


log.add_command(archive)
log.add_command(quarantine)
log.add_command(rebuild)
