"""`python -m rekam_tracking serve|project|migrate`; settings come from the environment."""

from __future__ import annotations

import os

import click

from rekam_runtime.process import run
from rekam_runtime.roles import MigrateSettings
from rekam_runtime.settings import load
from rekam_tracking import server
from rekam_tracking.settings import ProjectSettings, ServeSettings


@click.group(help="The tracking service of Rekam.")
def main() -> None:
    pass


@main.command(help="Answer commands and queries over gRPC.")
def serve() -> None:
    run(lambda stop: server.serve(load(ServeSettings, os.environ), stop))


@main.command(help="Apply events from the log to Postgres.")
def project() -> None:
    run(lambda stop: server.project(load(ProjectSettings, os.environ), stop))


@main.command(help="Bring the database to what this version expects, and end.")
def migrate() -> None:
    run(lambda stop: server.migrate(load(MigrateSettings, os.environ)))


if __name__ == "__main__":
    main(prog_name="python -m rekam_tracking")
