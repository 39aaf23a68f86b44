"""Artifacts while processes are killed: what was acknowledged is listed, and what is listed is whole."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from rekam.testing import LocalStack, running_stack
from tests.support.artifact_door import door_of, is_whole
from tests.support.faults import Faults
from tests.support.memory import watched_memory
from tests.support.stack import until

VICTIMS = ("artifacts-serve", "artifacts-project", "gateway", "seaweed", "postgres", "nats")


def test_each_killed_in_turn_while_files_are_put(mortal_stack: LocalStack) -> None:
    mortal_stack.reset()
    faults = Faults(mortal_stack)
    ending = threading.Event()
    acknowledged: dict[str, bytes] = {}

    def write(writer: int) -> None:
        number = 0
        with door_of(mortal_stack) as door:
            while not ending.is_set():
                path, data = (
                    f"{writer}/{number % 10}/{number}",
                    random.Random(number).randbytes(number % 5000),
                )
                door.upload(path, data)
                acknowledged[path] = data
                number += 1

    with ThreadPoolExecutor(4) as pool, watched_memory(faults):
        writing = [pool.submit(write, writer) for writer in range(4)]
        try:
            for name in VICTIMS:
                there = len(acknowledged)
                until("files are put", partial(_more, acknowledged.__len__, there + 20))
                before = faults.pids()
                faults.kill(name)
                faults.all_ready({name: before[name]})
        finally:
            ending.set()
        for each in writing:
            each.result()
    with door_of(mortal_stack) as door:
        listed = {file.path: file for file in door.listed()}
        assert listed.keys() >= acknowledged.keys()
        for path, data in acknowledged.items():
            assert is_whole(listed[path], data)
        for path in random.Random(1).sample(sorted(acknowledged), 50):
            assert door.download(path) == acknowledged[path]


@pytest.fixture
def restless_stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalStack]:
    """One that collects all the time, without a grace period."""
    monkeypatch.setenv("REKAM_ARTIFACTS_GRACE_S", "0")
    monkeypatch.setenv("REKAM_ARTIFACTS_COLLECT_EVERY_S", "0.05")
    monkeypatch.setenv("REKAM_ARTIFACTS_SWEEP_EVERY_S", "0")
    with running_stack(tmp_path / "data") as stack:
        yield stack


def test_no_listed_file_loses_its_bytes_to_a_collector_that_is_killed(restless_stack: LocalStack) -> None:
    """Few bytes under few paths, put and deleted, while collectors collect and are killed."""
    faults = Faults(restless_stack)
    texts = [b"1", b"2" * 22, b"3" * 333]
    ending = threading.Event()
    done = [0] * 4

    def write(writer: int) -> None:
        generator = random.Random(writer)
        with door_of(restless_stack) as door:
            while not ending.is_set():
                path = f"{generator.randrange(6)}"
                if generator.randrange(3):
                    door.upload(path, generator.choice(texts))
                else:
                    door.delete(path)
                done[writer] += 1

    with ThreadPoolExecutor(4) as pool:
        writing = [pool.submit(write, writer) for writer in range(4)]
        try:
            for name in ("artifacts-project", "artifacts-serve") * 2:
                there = sum(done)
                until("it goes on", partial(_more, lambda: sum(done), there + 20))
                before = faults.pids()
                faults.kill(name)
                faults.all_ready({name: before[name]})
        finally:
            ending.set()
        for each in writing:
            each.result()
    with door_of(restless_stack) as door:
        listed = door.listed()
        for file in listed:
            assert is_whole(file, door.download(file.path))
        door.collect()
        left = door.collect(dry_run=True)
        assert (left.blobs, left.strays, left.uploads) == (0, 0, 0)
        for file in listed:
            assert is_whole(file, door.download(file.path))


def _more(count: Callable[[], int], than: int) -> bool:
    return count() > than
