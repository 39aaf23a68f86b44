"""The roles of the artifacts service: `python -m rekam_artifacts ROLE`."""

from __future__ import annotations

import click

from rekam_runtime.process import run


@click.group(help="Rekam's artifacts service. Settings come from the environment (REKAM_*).")
def main() -> None:
    pass


@main.command("serve", help="Answer gRPC calls until told to stop.")
def serve_role() -> None:
    from rekam_artifacts.server import serve

    run(serve)


@main.command("migrate", help="Bring the database to what this version expects, then exit.")
def migrate_role() -> None:
    from rekam_artifacts.server import migrate

    run(migrate)


if __name__ == "__main__":
    main(prog_name="python -m rekam_artifacts")
