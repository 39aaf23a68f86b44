"""`python -m rekam_tracking serve|project|migrate`; settings come from the environment."""

from __future__ import annotations

import os
import sys

import click

from rekam_runtime.process import run
from rekam_runtime.settings import SettingsError, load
from rekam_tracking import server
from rekam_tracking.settings import MigrateSettings, ProjectSettings, ServeSettings


@click.group(help="The tracking service of Rekam.")
def main() -> None:
    pass


@main.command(help="Answer commands and queries over gRPC.")
def serve() -> None:
    settings = load(ServeSettings, os.environ)
    run(lambda stop: server.serve(settings, stop))


@main.command(help="Apply events from the log to Postgres.")
def project() -> None:
    settings = load(ProjectSettings, os.environ)
    run(lambda stop: server.project(settings, stop))


@main.command(help="Bring the database to what this version expects, and end.")
def migrate() -> None:
    settings = load(MigrateSettings, os.environ)
    run(lambda stop: server.migrate(settings))


if __name__ == "__main__":
    try:
        main(prog_name="python -m rekam_tracking")
    except SettingsError as error:
        print(*error.faults, sep="\n", file=sys.stderr)
        sys.exit(2)
