"""`python -m rekam_archive archive`; settings come from the environment."""

from __future__ import annotations

import os

import click

from rekam_archive import server
from rekam_archive.settings import Settings
from rekam_runtime.process import run
from rekam_runtime.settings import load


@click.group(help="The archive of Rekam's log.")
def main() -> None:
    pass


@main.command(help="Copy streams to S3, and drop points that are archived and old.")
def archive() -> None:
    run(lambda stop: server.archive(load(Settings, os.environ), stop))


if __name__ == "__main__":
    main(prog_name="python -m rekam_archive")
