"""`rekam metrics`."""

from __future__ import annotations

from itertools import repeat
from typing import Literal

import click

from rekam.calls.metrics import AXES
from rekam.cli.output import command_options, print_json, print_table
from rekam.client import Client

Bounds = tuple[int | None, int | None]


@click.group()
def metrics() -> None:
    """Metrics of a run: list, history, buckets."""


@metrics.command("list")
@click.argument("run_id")
@command_options
def list_metrics(client: Client, as_json: bool, run_id: str) -> None:
    """List the metrics of a run with their number of points."""
    found = client.list_metrics(run_id)
    if as_json:
        print_json(found)
    else:
        print_table(("metric", "points"), [(each.key, each.points) for each in found])


@metrics.command("history")
@click.argument("run_id")
@click.argument("key")
@click.option("--from-step", type=int, help="First step, inclusive.")
@click.option("--to-step", type=int, help="Last step, inclusive.")
@click.option("--rank", type=int, help="Only points of this rank.")
@click.option("--by-rank", is_flag=True, help="A series for each rank.")
@click.option("--max-points", type=click.IntRange(1), default=1000, show_default=True)
@command_options
def history(
    client: Client,
    as_json: bool,
    run_id: str,
    key: str,
    from_step: int | None,
    to_step: int | None,
    rank: int | None,
    by_rank: bool,
    max_points: int,
) -> None:
    """Print the points of a metric, ordered by time, step, value."""
    points: list[tuple[int, int, float, int | None]] = []
    more = False
    blocks = client.stream_history([run_id], [key], steps=(from_step, to_step), rank=rank, by_rank=by_rank)
    for block in blocks:
        columns = (block.steps.tolist(), block.times_us.tolist(), block.values.tolist())
        points += zip(*columns, repeat(block.rank, len(block)), strict=True)
        if len(points) > max_points:
            more = True
            break
    points = points[:max_points]
    if as_json:
        print_json(
            [
                {"step": step, "time_us": time_us, "value": value, **({"rank": of_rank} if by_rank else {})}
                for step, time_us, value, of_rank in points
            ]
        )
    elif by_rank:
        print_table(("step", "time (us)", "value", "rank"), points)
    else:
        print_table(("step", "time (us)", "value"), [point[:3] for point in points])
    if more:
        click.echo(f"(the first {max_points}; --max-points shows more)", err=True)


@metrics.command("buckets")
@click.argument("run_id")
@click.argument("keys", nargs=-1, required=True)
@click.option("--buckets", "number", type=click.IntRange(1, 10_000), default=20, show_default=True)
@click.option("--axis", type=click.Choice(list(AXES)), default="step", show_default=True)
@click.option("--from", "first", type=int, help="First x, inclusive; steps or microseconds.")
@click.option("--to", "last", type=int, help="Last x, inclusive.")
@click.option("--rank", type=int, help="Only points of this rank.")
@click.option("--by-rank", is_flag=True, help="A series for each rank.")
@command_options
def buckets(
    client: Client,
    as_json: bool,
    run_id: str,
    keys: tuple[str, ...],
    number: int,
    axis: Literal["step", "time", "relative_time"],
    first: int | None,
    last: int | None,
    rank: int | None,
    by_rank: bool,
) -> None:
    """Reduce metrics to buckets: min, max, mean and last of each."""
    found = client.get_buckets(
        [run_id], list(keys), number, axis=axis, x=(first, last), rank=rank, by_rank=by_rank
    )
    if as_json:
        print_json(found)
        return
    ranks = ["rank"] if by_rank else []
    print_table(
        ("metric", *ranks, "first x", "last x", "points", "min", "mean", "max", "last"),
        [
            (each.key, *([each.rank] if by_rank else []), *row)
            for each in found
            for row in zip(
                each.first_x, each.last_x, each.count, each.min, each.mean, each.max, each.last, strict=True
            )
        ],
    )
