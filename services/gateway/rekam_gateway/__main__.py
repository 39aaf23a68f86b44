"""`python -m rekam_gateway serve`; settings come from the environment."""

from __future__ import annotations

import os

import click

from rekam_gateway import server
from rekam_gateway.settings import Settings
from rekam_runtime.process import run
from rekam_runtime.settings import load


@click.group(help="The gateway of Rekam.")
def main() -> None:
    pass


@main.command(help="Serve the ingest stream, commands and queries over gRPC, and HTTP.")
def serve() -> None:
    run(lambda stop: server.serve(load(Settings, os.environ), stop))


if __name__ == "__main__":
    main(prog_name="python -m rekam_gateway")
