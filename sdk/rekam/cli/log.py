"""`rekam log`: for operators. What projections set aside, and rebuilding them from the log."""

from __future__ import annotations

import click

from rekam.cli.quarantine import quarantine
from rekam.cli.rebuild import rebuild


@click.group()
def log() -> None:
    """For operators: what could not be applied, and rebuilding projections from the log."""


log.add_command(quarantine)
log.add_command(rebuild)
