"""`python -m rekam_gateway serve`; settings come from the environment."""

from __future__ import annotations

import os
import sys

import click

from rekam_gateway import server
from rekam_gateway.settings import Settings
from rekam_runtime.process import run
from rekam_runtime.settings import SettingsError, load


@click.group(help="The gateway of Rekam.")
def main() -> None:
    pass


@main.command(help="Serve the ingest stream, commands and queries over gRPC, and HTTP.")
def serve() -> None:
    settings = load(Settings, os.environ)
    run(lambda stop: server.serve(settings, stop))


if __name__ == "__main__":
    try:
        main(prog_name="python -m rekam_gateway")
    except SettingsError as error:
        print(*error.faults, sep="\n", file=sys.stderr)
        sys.exit(2)
