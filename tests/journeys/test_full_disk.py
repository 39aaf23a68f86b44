"""A full disk under the data directory: clients are told and wait; all is well when there is room again."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from rekam.testing import running_stack
from tests.support.faults import Faults
from tests.support.fleet import logging_fleet
from tests.support.stack import until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small file system")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """400 MB in memory."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["/bin/mount", "-t", "tmpfs", "-o", "size=400m", "tmpfs", disk], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip(f"cannot mount: {mounted.stderr.decode()}")
    try:
        yield disk
    finally:
        subprocess.run(["/bin/umount", "--lazy", disk], check=True)


def test_a_disk_that_is_full_for_a_while(small_disk: Path, tmp_path: Path) -> None:
    filler = small_disk / "filler"
    with running_stack(small_disk / "data") as stack:
        faults = Faults(stack)
        with logging_fleet(stack, tmp_path / "spools") as fleet:
            fleet.caught_up()
            with filler.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(small_disk).free - 200_000)
            until("the log cannot write", lambda: not _ready(faults, "nats"))
            until("it is told", lambda: f"the disk of {small_disk / 'data'} is full" in stack.said)
            spooled = fleet.spooled()
            until("the spools have grown", lambda: fleet.spooled() > spooled + 3_000_000, 60)
            filler.unlink()
            fleet.caught_up()
            faults.all_ready()
        assert "nats is started again: its disk was full and has room again" in stack.said
        assert fleet.check() > 0


def _ready(faults: Faults, name: str) -> bool:
    return all(process.ready for process in faults.described() if process.name == name)
