"""The unmodified client is told by Rekam what MLflow itself tells it, by HTTP and by the plugin.

Each program of `programs` ran against MLflow; what it told then is kept in `answers`. A program
tells nothing that differs from run to run. `pytest tests/journeys/mlflow --reference=record`
runs them against MLflow again.
"""

from __future__ import annotations

import pytest

from tests.journeys.mlflow.conftest import Answers, Program

PROGRAMS = (
    "fluent",
    "paging",
    "searching",
    "house_prices",
    "artifacts",
    "datasets",
    "asynchronous",
    "registry",
    "registering",
    "searching_registry",
    "prompts",
    "webhooks",
)
DOORS = pytest.mark.parametrize("tracking_uri", ["http", "plugin"], indirect=True)


@DOORS
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_is_told_what_mlflow_tells_it(
    name: str, program: Program, answers_of_mlflow: Answers
) -> None:
    told = program(name)
    assert told == answers_of_mlflow(name, told)
