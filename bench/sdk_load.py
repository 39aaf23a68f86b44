"""A training process that logs through the SDK; prints one JSON line.

python -m bench.sdk_load --grpc HOST:PORT throughput   100 keys a call, as fast as calls return
python -m bench.sdk_load --grpc HOST:PORT call-cost    a loop with a pause, every call timed
"""

from __future__ import annotations

import json
import time

import click
import numpy as np

import rekam
from bench.checksum import Checksum

CALLS = 300_000
KEYS = 100
ROWS = 1_000  # different dictionaries, used in turn
TIMED_CALLS = 30_000
PAUSE_US = 100  # between timed calls: 10,000 a second


@click.group(help=__doc__)
@click.option("--grpc", "target", required=True)
def main(target: str) -> None:
    rekam.set_tracking_uri(f"grpc://{target}")
    rekam.set_experiment("bench sdk")


@main.command()
def throughput() -> None:
    names = [f"layer{i // 4}/stat{i % 4}" for i in range(KEYS)]
    values = np.random.default_rng(3).standard_normal((ROWS, KEYS))
    rows = [dict(zip(names, row, strict=True)) for row in values.tolist()]
    with rekam.start_run(log_system_metrics=False) as run:
        started = time.time()
        for step in range(CALLS):
            rekam.log_metrics(rows[step % ROWS], step=step)
        called = time.time()
        rekam.flush()
        flushed = time.time()
        (writer,) = rekam.Client().get_completeness(run.info.run_id)
        queryable = time.time()
    expected = Checksum()
    for first in range(0, CALLS, ROWS):
        expected.add(values.ravel(), np.arange(first, first + ROWS), columns=KEYS)
    if writer.points != expected.points:
        raise click.ClickException(f"{writer.points} points arrived of {expected.points}")
    result = {
        "run_id": run.info.run_id,
        "points": expected.points,
        "called_s": called - started,
        "flushed_s": flushed - started,
        "queryable_s": queryable - started,
        "expected": vars(expected),
    }
    click.echo(json.dumps(result))


@main.command()
def call_cost() -> None:
    result: dict[str, float] = {}
    for keys, label in ((1, "1_key"), (100, "100_keys")):
        rows = [{f"metric{k}": float(r * k) for k in range(keys)} for r in range(100)]
        spent = np.empty(TIMED_CALLS)
        with rekam.start_run():
            clock = time.perf_counter_ns
            for step in range(TIMED_CALLS):
                row = rows[step % 100]
                started = clock()
                rekam.log_metrics(row, step=step)
                ended = clock()
                spent[step] = ended - started
                while clock() - ended < PAUSE_US * 1000:
                    pass
        result[f"log_call_{label}_p50_us"] = float(np.percentile(spent, 50)) / 1000
        result[f"log_call_{label}_p99_us"] = float(np.percentile(spent, 99)) / 1000
    click.echo(json.dumps(result))


if __name__ == "__main__":
    main()
