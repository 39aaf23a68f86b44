"""`make bench-peers`: the same work on Rekam, MLflow and FastTrackML; writes bench/results/peers.json."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager

import click

from bench.peers.environments import programs_of, version_of
from bench.peers.rekam import running_rekam
from bench.peers.servers import running_fasttrackml, running_mlflow
from bench.peers.trackers import Tracker
from bench.peers.work import ON_REQUEST, STEPS, Figures
from bench.report import RESULTS, machine, spelled
from bench.stack import end_in_order

TRACKERS: dict[str, Callable[[], AbstractContextManager[Tracker]]] = {
    "rekam": running_rekam,
    "mlflow": running_mlflow,
    "fasttrackml": running_fasttrackml,
}
USUAL = tuple(step for step in STEPS if step not in ON_REQUEST)
PEERS = ("mlflow", "fasttrackml")
# Figures of Rekam that have another of its peers beside them.
COMPARED_WITH = {"sdk_points_per_s": "log_batch_points_per_s"}


@click.command(help=__doc__)
@click.option(
    "--only", multiple=True, type=click.Choice(list(STEPS)), help="Only this work; may be repeated."
)
@click.option(
    "--tracker",
    "chosen",
    multiple=True,
    type=click.Choice(list(TRACKERS)),
    help="Only this one; may be repeated.",
)
def main(only: tuple[str, ...], chosen: tuple[str, ...]) -> None:
    end_in_order()
    for peer in PEERS:
        if not chosen or peer in chosen:
            programs_of(peer)
    results: dict[str, Figures] = {}
    for name, running in TRACKERS.items():
        if chosen and name not in chosen:
            continue
        figures = results[name] = {}
        with running() as tracker:
            for step, work in STEPS.items():
                if step not in (only or USUAL):
                    continue
                for figure, value in work(tracker).items():
                    figures[figure] = value
                    click.echo(f"  {name:<14}{figure:<28}{spelled(value):>10}", err=True)
    click.echo(table(results))
    if not only and not chosen:
        path = RESULTS / "peers.json"
        content = {
            "at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "machine": machine(),
            "versions": {peer: version_of(peer) for peer in PEERS},
            "figures": results,
        }
        path.write_text(json.dumps(content, indent=1) + "\n")
        click.echo(f"\nwritten to {path}", err=True)


def table(results: Mapping[str, Figures]) -> str:
    """Markdown: figures of each, and how many times better Rekam's are."""
    rekam = results.get("rekam", {})
    peers = [peer for peer in PEERS if peer in results]
    rows = ["| figure | rekam | " + " | ".join(f"{peer} | times better" for peer in peers) + " |"]
    rows.append("| --- | ---: |" + " ---: | ---: |" * len(peers))
    for figure, own in rekam.items():
        cells = [figure, spelled(own)]
        for peer in peers:
            other = results[peer].get(figure, results[peer].get(COMPARED_WITH.get(figure, "")))
            if other is None:
                cells += ["", ""]
            else:
                better = own / other if figure.endswith("_per_s") else other / own
                cells += [spelled(other), f"{better:.3g}"]
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows)


if __name__ == "__main__":
    main()
