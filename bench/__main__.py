"""`make bench`: measures the whole system on this machine and writes bench/results/latest.json."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import click

from bench.artifacts import measure_artifacts
from bench.ceilings import measure_ceilings
from bench.ingest import measure_ingest
from bench.mlflow_client import measure_mlflow_client
from bench.profile import measure_memory, measure_neptune_profile
from bench.reads import measure_reads
from bench.rebuild import measure_rebuild
from bench.recovery import measure_cluster_recovery, measure_recovery
from bench.registry import (
    measure_history,
    measure_promotions,
    measure_registrations,
    measure_resolve,
    measure_view,
)
from bench.registry_search import measure_registry_search
from bench.report import Figures
from bench.rest import measure_rest
from bench.sdk import measure_sdk
from bench.sdk_files import measure_sdk_files
from bench.search import measure_search
from bench.stack import Stack, end_in_order, running_stack

POINT_BYTES = 8


def ceilings(stack: Stack, figures: Figures) -> None:
    environment = stack.environment("tracking-project")
    asyncio.run(measure_ceilings(figures, environment["REKAM_NATS_URL"], environment["REKAM_POSTGRES_URL"]))


def wide(stack: Stack, figures: Figures) -> None:
    measure_ingest(stack, figures, "wide", runs=4, keys=100, rows=80, points=160_000_000)


def narrow(stack: Stack, figures: Figures) -> None:
    measure_ingest(stack, figures, "narrow", runs=64, keys=10, rows=500, points=48_000_000)


def search(stack: Stack, figures: Figures) -> None:
    for runs in (10_000, 100_000):
        measure_search(stack, figures, runs)


STEPS: dict[str, Callable[[Stack, Figures], None]] = {
    "ceilings": ceilings,
    "wide": wide,
    "narrow": narrow,
    "neptune_profile": measure_neptune_profile,
    "memory": measure_memory,
    "sdk": measure_sdk,
    "sdk_files": measure_sdk_files,
    "mlflow_client": measure_mlflow_client,
    "reads": measure_reads,
    "search": search,
    "rest": measure_rest,
    "artifacts": measure_artifacts,
    "registry_resolve": measure_resolve,
    "registry_view": measure_view,
    "registry_promotions": measure_promotions,
    "registry_registrations": measure_registrations,
    "registry_history": measure_history,
    "registry_search": measure_registry_search,
    "rebuild": measure_rebuild,
    "cluster_recovery": measure_cluster_recovery,
    # The last of all: it leaves a stack of which every process has died.
    "recovery": measure_recovery,
}


@click.command(help=__doc__)
@click.option(
    "--only", multiple=True, type=click.Choice(list(STEPS)), help="Run only this step; may be repeated."
)
def main(only: tuple[str, ...]) -> None:
    end_in_order()
    figures = Figures()
    with running_stack() as stack:
        for name, step in STEPS.items():
            if only and name not in only:
                continue
            click.echo(f"{name} ...", err=True)
            stack.reset()
            step(stack, figures)
    for name in ("ingest_wide_points_per_s", "ingest_narrow_points_per_s", "sdk_points_per_s"):
        for ceiling in ("raw_jetstream_bytes_per_s", "raw_copy_bytes_per_s"):
            figures.compare(name, ceiling, POINT_BYTES)
    click.echo(figures.table())
    if not only:
        click.echo(f"\nwritten to {figures.write()}", err=True)


if __name__ == "__main__":
    main()
