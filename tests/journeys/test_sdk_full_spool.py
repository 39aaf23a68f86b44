"""A spool without room: its disk is full, or its bound is reached. Nothing is lost, and it is said."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.journeys.test_sdk_sync import sync
from tests.support.memory_server import MemoryServer
from tests.support.ports import free_port
from tests.support.programs import Program
from tests.support.small_disk import SmallDisk, small_disk
from tests.support.stack import until

KEYS = 100
QUIET = {"REKAM_SYSTEM_METRICS": "0", "REKAM_CONSOLE": "0", "REKAM_GIT": "0"}
# 8 MB of points, in rows of 100 keys.
LOGS = """
run = rekam.start_run()
print(run.run_id, flush=True)
sys.stdin.readline()
row = {f"k{number}": 0.0 for number in range(100)}
refused = 0
for step in range(10_000):
    row["k99"] = float(step)
    try:
        rekam.log_metrics(row, step=step)
    except rekam.errors.SpoolFull:
        refused += 1
    if step == 1_000:
        print("thousand", flush=True)
print("logged", refused, flush=True)
if "FLUSH_WHILE_FULL" in os.environ:
    try:
        rekam.flush(3)
    except rekam.errors.SpoolError as error:
        print(error, flush=True)
sys.stdin.readline()
rekam.flush()
rekam.end_run()
"""


@pytest.fixture
def server() -> Iterator[MemoryServer]:
    server = MemoryServer()
    yield server
    server.stop()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "disk", 32) as disk:
        yield disk


def steps(server: MemoryServer, run_id: str) -> list[int]:
    points = server.points(run_id, f"k{KEYS - 1}")
    assert all(step == value for step, _, value in points)
    return sorted(step for step, _, _ in points)


def test_a_full_disk_is_said_once_and_what_is_logged_waits_in_memory(
    server: MemoryServer, disk: SmallDisk
) -> None:
    program = Program(server.uri, disk.path / "spool", LOGS, directory=None, FLUSH_WHILE_FULL="1", **QUIET)
    run_id = program.line()
    disk.fill(leave=300_000)
    program.go_on()
    assert program.line() == "thousand"
    assert program.line() == "logged 0"  # all of it fits in memory
    assert "No space left on device" in program.line()
    assert len(steps(server, run_id)) < 10_000
    disk.free()
    program.go_on()
    _, err = program.finish()
    assert steps(server, run_id) == list(range(10_000))
    assert err.count("No space left on device") == 1
    assert "what is logged waits in memory" in err


def test_beyond_the_bound_in_memory_a_log_call_waits_for_room_on_the_disk(
    server: MemoryServer, disk: SmallDisk
) -> None:
    program = Program(
        server.uri, disk.path / "spool", LOGS, directory=None, REKAM_BUFFER_BYTES="2097152", **QUIET
    )
    run_id = program.line()
    disk.fill(leave=300_000)
    program.go_on()
    assert program.line() == "thousand"
    # It cannot end: what is held and what is on the disk are less than what is logged.
    disk.free()
    assert program.line() == "logged 0"
    program.go_on()
    program.finish()
    assert steps(server, run_id) == list(range(10_000))


def test_beyond_the_bound_in_memory_a_log_call_raises_if_told_to(
    server: MemoryServer, disk: SmallDisk
) -> None:
    program = Program(
        server.uri,
        disk.path / "spool",
        LOGS,
        directory=None,
        REKAM_BUFFER_BYTES="2097152",
        REKAM_ON_FULL="raise",
        **QUIET,
    )
    run_id = program.line()
    disk.fill(leave=300_000)
    program.go_on()
    assert program.line() == "thousand"
    word, refused = program.line().split()
    assert word == "logged"
    assert int(refused) > 0
    disk.free()
    program.go_on()
    program.finish()
    # SpoolFull says that the call that raised was still kept: every point is there.
    assert steps(server, run_id) == list(range(10_000))


def test_a_full_disk_spills_to_another(server: MemoryServer, disk: SmallDisk, tmp_path: Path) -> None:
    spill = tmp_path / "spill"
    program = Program(
        server.uri,
        disk.path / "spool",
        LOGS,
        directory=None,
        REKAM_ON_FULL="spill",
        REKAM_SPILL_DIR=str(spill),
        **QUIET,
    )
    run_id = program.line()
    disk.fill(leave=300_000)
    program.go_on()
    assert program.line() == "thousand"
    assert program.line() == "logged 0"
    until("everything is delivered", lambda: len(steps(server, run_id)) == 10_000)
    disk.free()
    program.go_on()
    _, err = program.finish()
    assert steps(server, run_id) == list(range(10_000))
    assert err.count("it goes on in") == 1
    assert "No space left on device" not in err
    assert list(spill.iterdir()) == []


def test_a_spool_at_its_bound_spills_and_what_is_left_of_both_is_adopted(tmp_path: Path) -> None:
    port = free_port()
    spill = tmp_path / "spill"
    program = Program(
        f"grpc://127.0.0.1:{port}",
        tmp_path / "spool",
        LOGS,
        directory=None,
        REKAM_CONNECT_TIMEOUT="0.2",
        REKAM_SPOOL_BYTES=str(4 * 1024**2),
        REKAM_ON_FULL="spill",
        REKAM_SPILL_DIR=str(spill),
        **QUIET,
    )
    run_id = program.line()
    program.go_on()
    assert program.line() == "thousand"
    assert program.line() == "logged 0"
    until(
        "all is in the spool",
        lambda: sum(path.stat().st_size for path in tmp_path.glob("sp*/*/*.spool")) > 8_000_000,
    )
    main = sum(path.stat().st_size for path in (tmp_path / "spool").glob("*/*.spool"))
    assert 2 * 1024**2 < main <= 4 * 1024**2
    program.process.kill()
    program.process.communicate()
    uri = f"grpc://127.0.0.1:{port}"
    server = MemoryServer(f"127.0.0.1:{port}")
    try:
        spill.rename(tmp_path / "away")
        done = sync(tmp_path / "spool", "--uri", uri)
        assert done.returncode == 1
        assert "which is not there" in done.stdout
        (tmp_path / "away").rename(spill)
        assert sync(tmp_path / "spool", "--uri", uri).returncode == 0
        assert steps(server, run_id) == list(range(10_000))
        assert list(spill.iterdir()) == list((tmp_path / "spool").iterdir()) == []
    finally:
        server.stop()
