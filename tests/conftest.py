"""For all tests, before any of them imports gRPC."""

from __future__ import annotations

import os

import pytest

# gRPC's handlers for forks can abort a child of a process with open channels. Tests fork only to
# start programs (Postgres as another user), and the SDK switches the handlers off for itself.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--reference",
        choices=("compare", "record"),
        help="tests/journeys/mlflow: run its programs against MLflow itself; record: keep what it answers",
    )
