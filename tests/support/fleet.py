"""Clients that log, as programs of their own, and the comparison of every point they logged.

Values follow from rank, key and step, so that what must be there needs no second record. Each
client logs a wide dictionary every few milliseconds, a narrow one now and then, params and tags,
and goes on doing so whatever happens to the server: an exception, or an error in its log, is
a failure. Those of one run are ranks of it. A second thread of each flushes all the time and
says what is acknowledged.
"""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import rekam
from rekam.testing import LocalStack
from tests.support.programs import Program
from tests.support.stack import until

KEYS = [f"layer{number}/loss" for number in range(20)]
RARE = "eval/accuracy"
RARE_EVERY = 10
PARAM_EVERY = 200
DELIVERY_S = 120

_CLIENT = """
import logging, math, threading

rank, keys, pause_s = int(os.environ["RANK"]), json.loads(os.environ["KEYS"]), float(os.environ["PAUSE_S"])
faults = []

class Loud(logging.Handler):
    def emit(self, record):
        if record.levelno >= logging.ERROR:
            faults.append(record.getMessage())

logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
logging.getLogger("rekam").addHandler(Loud())
stop = threading.Event()
threading.Thread(target=lambda: (sys.stdin.readline(), stop.set()), daemon=True).start()

def value(key, step):
    return math.sin(step * (key + 1)) + 10 * rank

run = rekam.start_run(run_id=os.environ.get("RUN") or None, rank=rank)
print(run.run_id, flush=True)
step = 0

def pulse():
    while not stop.is_set():
        logged, began = step, time.time()
        rekam.flush(timeout=600)
        print(json.dumps([began, time.time(), logged]), flush=True)
        stop.wait(0.05)

pulses = threading.Thread(target=pulse)
pulses.start()
slowest_s = 0.0
while not stop.is_set():
    began = time.perf_counter()
    run.log_metrics({name: value(number, step) for number, name in enumerate(keys)}, step=step)
    if step % 10 == 0:
        run.log_metric("eval/accuracy", value(-2, step), step=step)
    if step % 200 == 0:
        run.log_params({f"rank{rank}.step{step}": step})
        run.set_tags({f"rank{rank}": step})
    slowest_s = max(slowest_s, time.perf_counter() - began)
    step += 1
    stop.wait(pause_s)
pulses.join()
rekam.end_run()
rekam.flush(timeout=120)
assert not faults, faults
print(json.dumps({"steps": step, "slowest_s": slowest_s, "writer": run.writer}), flush=True)
"""


@dataclass(frozen=True)
class Pulse:
    """One flush of a client: when it began and ended, and the steps logged before it."""

    began: float
    ended: float
    steps: int


@dataclass
class Logger:
    """One client."""

    rank: int
    run_id: str
    program: Program
    pulses: list[Pulse] = field(default_factory=list)
    steps: int = 0
    slowest_s: float = 0.0
    writer: str = ""
    said: str = ""
    _reader: threading.Thread | None = None

    def listen(self) -> None:
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while line := self.program.line():
            said = json.loads(line)
            if isinstance(said, list):
                self.pulses.append(Pulse(*said))
            else:
                self.steps, self.slowest_s, self.writer = said["steps"], said["slowest_s"], said["writer"]

    def finish(self) -> None:
        """End it."""
        self.program.go_on()
        assert self._reader is not None
        self._reader.join(DELIVERY_S + 60)
        _, self.said = self.program.finish()


class Fleet:
    """Clients of one stack: `runs` runs, and one more that `ranks` of them share."""

    def __init__(self, stack: LocalStack, folder: Path, *, runs: int, ranks: int, pause_s: float) -> None:
        self._uri = stack.tracking_uri
        self.folder = folder
        self._pause_s = pause_s
        self.loggers: list[Logger] = []
        for _ in range(runs):
            self._start(rank=0)
        shared = ""
        for rank in range(ranks):
            shared = self._start(rank, shared).run_id

    def _start(self, rank: int, run_id: str = "") -> Logger:
        program = Program(
            self._uri,
            self.folder / f"spool{len(self.loggers)}",
            _CLIENT,
            RANK=str(rank),
            RUN=run_id,
            KEYS=json.dumps(KEYS),
            PAUSE_S=str(self._pause_s),
        )
        started = Logger(rank, program.line(), program)
        assert started.run_id, program.process.communicate()[1]
        started.listen()
        self.loggers.append(started)
        return started

    def caught_up(self, deadline_s: float = 180.0) -> float:
        """Wait until everything logged up to now is acknowledged, to all; the seconds it took."""
        now = time.time()

        def all_beyond() -> bool:
            ended = [one.rank for one in self.loggers if one.program.process.poll() is not None]
            assert not ended, f"clients {ended} have ended"
            return all(one.pulses and one.pulses[-1].began >= now for one in self.loggers)

        until("all clients have acknowledgements", all_beyond, deadline_s)
        return time.time() - now

    def spooled(self) -> int:
        """Bytes that wait in the clients' spools."""
        return sum(_size(file) for file in self.folder.rglob("*"))

    def finish(self) -> None:
        """Let all of them end well."""
        for logger in self.loggers:
            logger.finish()

    def check(self) -> int:
        """Every point, param and tag is there, once, and nothing else; the number of points."""
        client = rekam.Client(self._uri)
        points = 0
        for run_id in dict.fromkeys(logger.run_id for logger in self.loggers):
            writers = [logger for logger in self.loggers if logger.run_id == run_id]
            for number, key in [*enumerate(KEYS), (-2, RARE)]:
                every = RARE_EVERY if key == RARE else 1
                expected = sorted(
                    (step, math.sin(step * (number + 1)) + 10 * writer.rank)
                    for writer in writers
                    for step in range(0, writer.steps, every)
                )
                history = client.get_history(run_id, key)
                found = sorted(zip(map(int, history.steps), map(float, history.values), strict=True))
                assert found == expected, _difference(run_id, key, found, expected)
                points += len(found)
            data = client.get_run(run_id).data
            logged = {
                f"rank{writer.rank}.step{step}": str(step)
                for writer in writers
                for step in range(0, writer.steps, PARAM_EVERY)
            }
            assert data.params == logged
            for writer in writers:
                last = (writer.steps - 1) // PARAM_EVERY * PARAM_EVERY
                assert data.tags[f"rank{writer.rank}"] == str(last)
            for complete in client.get_completeness(run_id):
                assert complete.gaps == ()
                assert complete.complete_up_to == complete.greatest
        return points


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:  # delivered, and trimmed
        return 0


def _difference(
    run_id: str, key: str, found: list[tuple[int, float]], expected: list[tuple[int, float]]
) -> str:
    missing, others = set(expected) - set(found), set(found) - set(expected)
    return (
        f"{key} of {run_id}: {len(found)} points instead of {len(expected)}, "
        f"{len(found) - len(set(found))} doubled, "
        f"missing {sorted(missing)[:5]}, never logged {sorted(others)[:5]}"
    )


@contextmanager
def logging_fleet(
    stack: LocalStack, folder: Path, *, runs: int = 2, ranks: int = 2, pause_s: float = 0.004
) -> Iterator[Fleet]:
    """Clients that log while the block runs, and end well after it."""
    fleet = Fleet(stack, folder, runs=runs, ranks=ranks, pause_s=pause_s)
    try:
        yield fleet
        fleet.finish()
    finally:
        for logger in fleet.loggers:
            if logger.program.process.poll() is None:
                logger.program.process.kill()
                logger.program.process.wait()
