"""The HTTP door of the session's stack, and a small client of MLflow's REST API."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rekam.client import Client
from rekam.testing import LocalStack
from tests.support.mlflow_rest import Rest


@pytest.fixture(scope="module")
def door(rekam_stack: LocalStack) -> Iterator[Rest]:
    """As others leave the stack: for what does not depend on it."""
    rekam_stack.clean()
    with Rest(rekam_stack.http) as client:
        yield client


@pytest.fixture
def rest(rekam_clean: LocalStack) -> Iterator[Rest]:
    """On an empty stack."""
    with Rest(rekam_clean.http) as client:
        yield client


@pytest.fixture
def client(rekam_clean: LocalStack) -> Client:
    """The other door to the same stack."""
    return Client(rekam_clean.tracking_uri)
