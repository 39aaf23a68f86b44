"""A training process that logs through the SDK: says `ready`, waits for a line, logs, says its run.

python -m bench.peers.sdk_client grpc://HOST:PORT BATCHES
"""

from __future__ import annotations

import sys

import rekam
from bench.peers.work import batch_of


def main(uri: str, batches: int) -> None:
    rekam.set_tracking_uri(uri)
    rekam.set_experiment("bench")
    rows = []
    for number in range(batches):
        batch = batch_of(number)
        columns = batch.values.T.tolist()
        rows += [
            (step, dict(zip(batch.keys, row, strict=True)))
            for step, row in zip(batch.steps.tolist(), columns, strict=True)
        ]
    with rekam.start_run(log_system_metrics=False) as run:
        print("ready", flush=True)
        sys.stdin.readline()
        for step, row in rows:
            rekam.log_metrics(row, step=step)
        rekam.flush()
        print(run.info.run_id, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
