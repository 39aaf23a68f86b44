"""Stacks whose processes tests kill: started once for all of them, beside the one that nobody kills."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rekam.testing import LocalStack, running_stack


@pytest.fixture(scope="session")
def mortal_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """One of each process."""
    with running_stack(tmp_path_factory.mktemp("mortal")) as stack:
        yield stack


@pytest.fixture(scope="session")
def replicated_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """Two gateways on one address, two of each of tracking's processes, three servers of the log."""
    data = tmp_path_factory.mktemp("replicated")
    with running_stack(data, arguments=("--replicas", "2", "--nats-nodes", "3")) as stack:
        yield stack
